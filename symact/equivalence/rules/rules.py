"""The table of rewriting rules that prove two expressions to be the same function.

In: nothing. Out: `RULES`, one row each: a name, the two sides, what must hold for them to be equal with equal
domains (almost everywhere), and where it stands. `normal` applies those whose left side is a function of
something by matching it, the others (sums, products, powers, max, where) by construction. Every row is tested:
against high precision and in balls over all arguments that its guard admits, and that `normal` does what it says.

DLMF is the Digital Library of Mathematical Functions, https://dlmf.nist.gov.
"""

from __future__ import annotations

from typing import NamedTuple

from symact.expr.functions import SELU_ALPHA, SELU_SCALE

GUARDS = (
    "",
    "a > 0",
    "a >= 0",
    "a <= 0",
    "a != 0",
    "a > 0, b > 0",
    "a >= 0, b >= 0",
    "a >= b",
    "a defined",
    "a > 0, a defined",
)


class Rule(NamedTuple):
    """One row.

    Attributes:
        name: of the rule.
        left: what is replaced.
        right: by what.
        guard: one of `GUARDS`: what must hold of the arguments where they are defined; `defined`: they always are.
        source: where it is found, or why it holds.
    """

    name: str
    left: str
    right: str
    guard: str
    source: str


_FIELD = "field axioms"
_EXP, _LOG = "DLMF 4.8", "DLMF 4.8"
_HYPERBOLIC, _ERROR, _BESSEL = "DLMF 4.28", "DLMF 7.2", "DLMF 10.29"
_DEFINITION = "definition"
_ORDER = "lattice of the real numbers"

# The first row that fits is applied, so special rows stand above the definitions of what they contain.
RULES = (
    # Arithmetic. Undefined spreads, so that nothing here needs a guard until something is dropped.
    Rule("commute +", "a + b", "b + a", "", _FIELD),
    Rule("commute *", "a*b", "b*a", "", _FIELD),
    Rule("associate +", "(a + b) + c", "a + (b + c)", "", _FIELD),
    Rule("associate *", "(a*b)*c", "a*(b*c)", "", _FIELD),
    Rule("distribute", "a*(b + c)", "a*b + a*c", "", _FIELD),
    Rule("difference", "a - b", "a + (-1)*b", "", _FIELD),
    Rule("add nothing", "a + 0", "a", "", _FIELD),
    Rule("times one", "1*a", "a", "", _FIELD),
    Rule("twice negated", "-(-a)", "a", "", _FIELD),
    Rule("collect", "a + a", "2*a", "", _FIELD),
    Rule("cancel +", "a - a", "0", "a defined", _FIELD),
    Rule("times zero", "0*a", "0", "a defined", _FIELD),
    Rule("quotient", "a/b", "a*b**-1", "", _FIELD),
    Rule("quotient of quotients", "(a/b)/(c/b)", "a/c", "a > 0, b > 0", _FIELD),
    Rule("cancel *", "a/a", "1", "a != 0", _FIELD),
    Rule("collect powers", "a**2*a**3", "a**5", "", _FIELD),
    Rule("power of a power", "(a**2)**3", "a**6", "", _FIELD),
    Rule("power of a product", "(a*b)**2", "a**2*b**2", "", _FIELD),
    Rule("power 1", "a**1", "a", "", _FIELD),
    Rule("power 0", "a**0", "1", "a defined", _FIELD),
    Rule("square of a sum", "(a + b)**2", "a**2 + 2*a*b + b**2", "", _FIELD),
    # Powers and roots.
    Rule("square of a root", "sqrt(a)**2", "a", "a >= 0", _DEFINITION),
    Rule("root of a square", "sqrt(a**2)", "abs(a)", "", _DEFINITION),
    Rule("root of a product", "sqrt(a*b)", "sqrt(a)*sqrt(b)", "a >= 0, b >= 0", _DEFINITION),
    Rule("root of a power of e", "sqrt(exp(a))", "exp(a/2)", "", _EXP),
    Rule("power of 1", "1**a", "1", "a defined", "DLMF 4.2.26"),
    Rule("power of 0", "0**a", "0", "a > 0, a defined", _DEFINITION),
    Rule("real power", "a**b", "exp(b*log(a))", "a > 0", "DLMF 4.2.26"),
    # Exponential and logarithm.
    Rule("exp of a sum", "exp(a)*exp(b)", "exp(a + b)", "", _EXP),
    Rule("power of exp", "exp(a)**3", "exp(3*a)", "", _EXP),
    Rule("quotient of exps", "exp(a)/exp(b)", "exp(a - b)", "", _EXP),
    Rule("exp of log", "exp(log(a))", "a", "a > 0", _EXP),
    Rule("exp of multiple of log", "exp(2*log(a) + b)", "a**2*exp(b)", "a > 0", _EXP),
    Rule("exp of softplus", "exp(softplus(a))", "1 + exp(a)", "", _DEFINITION),
    Rule("exp of asinh", "exp(asinh(a))", "a + sqrt(a**2 + 1)", "", "DLMF 4.37.16"),
    Rule("log of exp", "log(exp(a))", "a", "", _LOG),
    Rule("log of a product", "log(a*b)", "log(a) + log(b)", "a > 0, b > 0", _LOG),
    Rule("log of a power", "log(a**2)", "2*log(a)", "a > 0", _LOG),
    Rule("log of 1", "log(1)", "0", "", _LOG),
    Rule("log of sigmoid", "log(sigmoid(a))", "-softplus(-a)", "", _DEFINITION),
    Rule("log of 1 plus exp", "log(1 + exp(a))", "softplus(a)", "", _DEFINITION),
    Rule("log of two exps", "log(exp(a) + exp(b))", "b + softplus(a - b)", "", _DEFINITION),
    Rule("softplus mirrored", "softplus(-a)", "softplus(a) - a", "", "log(1 + exp(-a)) = log((exp(a) + 1)/exp(a))"),
    Rule("logsigmoid", "logsigmoid(a)", "-softplus(-a)", "", _DEFINITION),
    Rule("log1p", "log1p(a)", "log(1 + a)", "", _DEFINITION),
    Rule("expm1", "expm1(a)", "exp(a) - 1", "", _DEFINITION),
    # The logistic function.
    Rule("sigmoid mirrored", "sigmoid(-a)", "1 - sigmoid(a)", "", "exp(-a)/(1 + exp(-a)) = 1/(1 + exp(a))"),
    Rule("reciprocal of 1 plus exp", "1/(1 + exp(-a))", "sigmoid(a)", "", _DEFINITION),
    Rule("reciprocal of two exps", "1/(exp(a) + exp(b))", "exp(-a)*sigmoid(a - b)", "", _DEFINITION),
    Rule("exp times sigmoid", "exp(a)*sigmoid(a)", "exp(a) - sigmoid(a)", "", "exp(a)*(1 - sigmoid(a)) = sigmoid(a)"),
    Rule("falling exp times sigmoid", "exp(-a)*sigmoid(a)", "1 - sigmoid(a)", "", "the same divided by exp(a)"),
    # Trigonometric and hyperbolic functions.
    Rule("sin odd", "sin(-a)", "-sin(a)", "", "DLMF 4.16"),
    Rule("cos even", "cos(-a)", "cos(a)", "", "DLMF 4.16"),
    Rule("square of cos", "cos(a)**2", "1 - sin(a)**2", "", "DLMF 4.21.12"),
    Rule("tan of atan", "tan(atan(a))", "a", "", _DEFINITION),
    Rule("tan", "tan(a)", "sin(a)/cos(a)", "", "DLMF 4.14.4"),
    Rule("sinc", "sinc(a)", "sin(a)/a", "a != 0", _DEFINITION),
    Rule("sinc even", "sinc(-a)", "sinc(a)", "", "DLMF 4.16"),
    Rule("sinh of asinh", "sinh(asinh(a))", "a", "", "DLMF 4.37"),
    Rule("sinh", "sinh(a)", "exp(a)/2 - exp(-a)/2", "", _HYPERBOLIC),
    Rule("cosh", "cosh(a)", "exp(a)/2 + exp(-a)/2", "", _HYPERBOLIC),
    Rule("tanh", "tanh(a)", "2*sigmoid(2*a) - 1", "", "DLMF 4.28.4"),
    Rule("tanh as a quotient", "sinh(a)/cosh(a)", "tanh(a)", "", "DLMF 4.28.4"),
    Rule("hyperbolic Pythagoras", "cosh(a)**2 - sinh(a)**2", "1", "a defined", "DLMF 4.35.11"),
    Rule("asinh of sinh", "asinh(sinh(a))", "a", "", "DLMF 4.37"),
    Rule("asinh odd", "asinh(-a)", "-asinh(a)", "", "DLMF 4.37"),
    Rule("atan odd", "atan(-a)", "-atan(a)", "", "DLMF 4.23"),
    Rule("logcosh", "logcosh(a)", "softplus(2*a) - a - log(2)", "", "log(exp(a)*(1 + exp(-2*a))/2)"),
    # The error function and its kin.
    Rule("erf odd", "erf(-a)", "-erf(a)", "", "DLMF 7.4.1"),
    Rule("erfc", "erfc(a)", "1 - erf(a)", "", _ERROR),
    Rule("erfcx", "erfcx(a)", "exp(a**2)*(1 - erf(a))", "", _ERROR),
    Rule("ndtr", "ndtr(a)", "1/2 + erf(a/sqrt(2))/2", "", "DLMF 7.18"),
    Rule("log_ndtr", "log_ndtr(a)", "log(ndtr(a))", "", _DEFINITION),
    Rule("gelu", "gelu(a)", "a*ndtr(a)", "", _DEFINITION),
    # Scaled Bessel functions.
    Rule("i0e even", "i0e(-a)", "i0e(a)", "", _BESSEL),
    Rule("i1e odd", "i1e(-a)", "-i1e(a)", "", _BESSEL),
    # Values at zero.
    Rule("sin of 0", "sin(0)", "0", "", "DLMF 4.17"),
    Rule("cos of 0", "cos(0)", "1", "", "DLMF 4.17"),
    Rule("asinh of 0", "asinh(0)", "0", "", "DLMF 4.37"),
    Rule("atan of 0", "atan(0)", "0", "", "DLMF 4.23"),
    Rule("erf of 0", "erf(0)", "0", "", _ERROR),
    Rule("i0e of 0", "i0e(0)", "1", "", _BESSEL),
    Rule("i1e of 0", "i1e(0)", "0", "", _BESSEL),
    Rule("sinc of 0", "sinc(0)", "1", "", _DEFINITION),
    Rule("sigmoid of 0", "sigmoid(0)", "1/2", "", _DEFINITION),
    Rule("softplus of 0", "softplus(0)", "log(2)", "", _DEFINITION),
    # Sizes and signs.
    Rule("abs of what is not negative", "abs(a)", "a", "a >= 0", _DEFINITION),
    Rule("abs of what is not positive", "abs(a)", "-a", "a <= 0", _DEFINITION),
    Rule("abs even", "abs(-a)", "abs(a)", "", _DEFINITION),
    Rule("abs of a product", "abs(a*b)", "abs(a)*abs(b)", "", _DEFINITION),
    Rule("abs of a power", "abs(a**3)", "abs(a)**3", "", _DEFINITION),
    Rule("square of abs", "abs(a)**2", "a**2", "", _DEFINITION),
    Rule("reciprocal of abs", "a**2/abs(a)", "abs(a)", "a != 0", _DEFINITION),
    Rule("sign", "sign(a)", "a/abs(a)", "a != 0", _DEFINITION),
    # Larger and smaller.
    Rule("larger", "max(a, b)", "(a + b + abs(a - b))/2", "", _ORDER),
    Rule("smaller", "min(a, b)", "(a + b - abs(a - b))/2", "", _ORDER),
    Rule("commute max", "max(a, b)", "max(b, a)", "", _ORDER),
    Rule("associate max", "max(max(a, b), c)", "max(a, max(b, c))", "", _ORDER),
    Rule("associate min", "min(min(a, b), c)", "min(a, min(b, c))", "", _ORDER),
    Rule("max of one", "max(a, a)", "a", "", _ORDER),
    Rule("max of ordered", "max(a, b)", "a", "a >= b", _ORDER),
    Rule("max and min", "max(a, b) + min(a, b)", "a + b", "", _ORDER),
    Rule("relu", "relu(a)", "max(a, 0)", "", _DEFINITION),
    Rule("elu", "elu(a)", "max(a, 0) + exp(min(a, 0)) - 1", "", _DEFINITION),
    Rule(
        "selu",
        "selu(a)",
        f"{SELU_SCALE}*(max(a, 0) + {SELU_ALPHA}*(exp(min(a, 0)) - 1))",
        "",
        _DEFINITION,
    ),
    Rule("swish", "swish(a)", "a*sigmoid(a)", "", _DEFINITION),
    Rule("heaviside", "heaviside(a)", "where(a > 0, 1, 0)", "", _DEFINITION),
    # Choices. The branch that is not taken need not be defined.
    Rule("one choice", "where(a > 0, b, b)", "b", "a defined", _DEFINITION),
    Rule("turned choice", "where(a > 0, b, c)", "where(a <= 0, c, b)", "", _DEFINITION),
    Rule("settled choice", "where(a > 0, b, c)", "b", "a > 0", _DEFINITION),
    Rule("choice of slopes", "where(a > 0, 3*a, a/5)", "3*max(a, 0) + min(a, 0)/5", "", _DEFINITION),
)
