"""The table of stable rewrites on Programs: one row each, an identity written as mathematics.

A row is applied wherever its left side is emitted: in a formula, across the operators of a
composition, in a derivative. Left and right are equal as real functions; the right side neither
cancels nor overflows. More special rows stand first.
"""

from __future__ import annotations

from dataclasses import dataclass

from symact.program.conditions import (
    Condition,
    apart,
    ascending,
    complement,
    descending,
    falling_factor,
    half_turn,
    huge,
    inverse,
    invertible,
    minus_half_turn,
    near,
    negative_square,
    of_parameters,
    opposite,
    positive,
    saturating_factor,
    small_powers,
    square,
    total,
    unbounded,
    unclipped,
)
from symact.program.patterns import Pattern, Term, pattern


@dataclass(frozen=True)
class Rewrite:
    """One row.

    Attributes:
        pattern: what is recognized.
        replacement: what is emitted for it.
        when: condition on the constants, or None.
        text: the row as it stands in the table.
    """

    pattern: Pattern
    replacement: Term
    when: Condition | None
    text: str


def _row(text: str, when: Condition | None = None) -> Rewrite:
    left, right = text.split("->")
    wanted = pattern(left)
    assert isinstance(wanted, Pattern)
    return Rewrite(wanted, pattern(right), when, text)


_LOG_2 = "0.6931471805599453"
_HALF_ROOT = "0.7071067811865476"
_TURN = "1.5707963267948966"
_CLIPPED = "max(min(u, 1e4), -1e4)"


def _softplus_difference(u: str, v: str) -> str:
    """Where both are large, by what they differ from their arguments."""
    large = f"0 < min({u}, {v})"
    return (
        f"where({large}, ({u} - {v}) + (softplus(-max({u}, 0)) - softplus(-max({v}, 0))),"
        f" where({large}, 0, softplus({u})) - softplus({v}))"
    )


# softplus(m + h) - softplus(m - h) = h + 2*atanh(tanh(m/2)*tanh(h/2)) for m = w*(u + c/2) and h = -w*c/2. Where w is
# small, neither that nor what is small beside 2*h or 0 has a slope in w that cancels.
_PRODUCT = "(tanh(0.5*(w*(u + 0.5*c)))*tanh((-0.25*c)*w))"
_CLOSE_SOFTPLUS = (
    f"where(abs(w*(u + 0.5*c)) < 5, w*((log1p({_PRODUCT}) - log1p(-{_PRODUCT}))/w + (-0.5*c)),"
    " where(0 < w*u, w*((logsigmoid((u + c)*w) - logsigmoid(u*w))/w + (-c)),"
    " logsigmoid(-((u + c)*w)) - logsigmoid(-(u*w))))"
)
_CLOSE = "(abs(c*w) < 1)*(1e-6 < abs(w))"
# Of u + c and u: where u is large, their ratio is close to 1.
_LOG_RATIO = (
    "where(2*abs(c) < abs(u), log1p(where(2*abs(c) < abs(u), c/u, 1)), log(where(2*abs(c) < abs(u), 1, (u + c)/u)))"
)
# Signs and constants move to one place, so that the rows below meet one form of each pattern.
_NORMAL = (
    _row(f"abs(u + c) - abs(u + d) -> abs({_CLIPPED} + c) - abs({_CLIPPED} + d)", near),
    _row("u - c -> u + (-c)"),
    _row("0 - u -> -u"),
    _row("u + 0 -> u"),
    _row("(u + c) + d -> u + (c + d)"),
    _row("(u + c) - (u + d) -> c - d", total),
    _row("c - (u + d) -> (c - d) - u"),
    _row("c - (d - u) -> u + (c - d)"),
    _row("(d - u) + c -> (c + d) - u"),
    _row("(u + v)*(u + v) - u*u -> v*(2*u + v)"),
    _row("u - -v -> u + v"),
    _row("u*(c*v) + u*(c*v) -> u*((2*c)*v)"),
    _row("-u - v -> -(u + v)"),
    _row("-u + -v -> -(u + v)"),
    _row("u + -v -> u - v"),
    _row("-(-u) -> u"),
    _row("-(u - v) -> v - u"),
    _row("-(c*u) -> (-c)*u"),
    _row("c*(u + 1) + d -> c*u + 1", complement),
    _row("u*1 -> u"),
    _row("u - u -> 0", total),
    _row("(u + v) - u -> v", total),
    _row("u - (u + v) -> -v", total),
    _row("u*(-1) -> -u"),
    _row("c*(-u) -> (-c)*u"),
    _row("c*(d*u) -> (c*d)*u"),
    _row("(-u)*(-v) -> u*v"),
    _row("(-u)*v -> -(u*v)"),
    _row("(-u)/(-v) -> u/v"),
    _row("(-u)/v -> -(u/v)"),
    _row("u/(-v) -> -(u/v)"),
    _row("abs(-u) -> abs(u)"),
    _row("abs(abs(u)) -> abs(u)"),
    _row("abs(u)*abs(u) -> u*u"),
    _row("abs(u)*sign(u) -> u"),
    _row("max(u, u) -> u"),
    _row("min(u, u) -> u"),
)

_EXPONENTIALS = (
    _row("exp(u) - 1 -> expm1(u)"),
    _row("1 - exp(u) -> -expm1(u)"),
    _row("expm1(u) + 1 -> exp(u)"),
    _row("where(w, u, expm1(v)) + 1 -> where(w, u + 1, exp(v))"),
    _row("log1p(where(w, u, expm1(v))) -> where(w, log1p(u), v)"),
    _row("log(where(w, u, exp(v))) -> where(w, log(u), v)"),
    _row("1/where(w, u, exp(v)) -> where(w, 1/u, exp(-v))"),
    _row("sigmoid(u) + (-0.5) -> 0.5*tanh(0.5*u)"),
    _row("0.5 - sigmoid(u) -> -0.5*tanh(0.5*u)"),
    _row("1 - sigmoid(u)*sigmoid(u) -> sigmoid(-u)*(sigmoid(u) + 1)"),
    _row("exp(u)/(exp(u) + c) -> sigmoid(u - log(c))", positive),
    _row("(v*exp(u))/(exp(u) + c) -> v*sigmoid(u - log(c))", positive),
    _row("expm1(u)/(exp(u) + 1) -> tanh(0.5*u)"),
    _row("-expm1(u)/(exp(u) + 1) -> tanh(-0.5*u)"),
    _row("exp(u)/expm1(u) -> -1/expm1(-u)"),
    _row("expm1(u)*sigmoid(-u) -> tanh(0.5*u)"),
    _row("expm1(-u)*sigmoid(u) -> -tanh(0.5*u)"),
    _row("(v*expm1(u))*sigmoid(-u) -> v*tanh(0.5*u)"),
    _row("(v*expm1(-u))*sigmoid(u) -> -(v*tanh(0.5*u))"),
    _row("exp(u)/((exp(u) + 1)*(exp(u) + 1)) -> sigmoid(u)*sigmoid(-u)"),
    _row("v/(exp(u) + 1) -> v*sigmoid(-u)"),
    _row("exp(-u)*sigmoid(u) -> sigmoid(-u)"),
    _row("exp(u)*sigmoid(-u) -> sigmoid(u)"),
    _row("(v*sigmoid(-(u + u)))*exp(u) -> v*(0.5/cosh(u))"),
    _row("(v*exp(-u))*sigmoid(u) -> v*sigmoid(-u)"),
    _row("(v*exp(u))*sigmoid(-u) -> v*sigmoid(u)"),
    _row("(v*sigmoid(u))*exp(-u) -> v*sigmoid(-u)"),
    _row("(v*sigmoid(-u))*exp(u) -> v*sigmoid(u)"),
    _row("sigmoid(u)/sigmoid(-u) -> exp(u)"),
    _row("sigmoid(-u)/sigmoid(u) -> exp(-u)"),
    _row("(sigmoid(u)*sigmoid(-u))/sigmoid(u) -> sigmoid(-u)"),
    _row("(sigmoid(u)*sigmoid(-u))/sigmoid(-u) -> sigmoid(u)"),
    _row("1 - sigmoid(u) -> sigmoid(-u)"),
    _row("sigmoid(u) - 1 -> -sigmoid(-u)"),
    _row("2*sigmoid(u) - 1 -> tanh(0.5*u)"),
    _row("1/exp(u) -> exp(-u)"),
    _row("exp(u)*exp(v) -> exp(u + v)"),
    _row("exp(u)/exp(v) -> exp(u - v)"),
    _row("v/exp(u) -> v*exp(-u)"),
    _row("exp(logsigmoid(u)) -> sigmoid(u)"),
    _row("exp(-softplus(u)) -> sigmoid(-u)"),
    _row("exp(softplus(u)) -> exp(u) + 1"),
    _row("exp(logcosh(u)) -> cosh(u)"),
    _row("exp(log_ndtr(u)) -> ndtr(u)"),
    _row("sqrt(exp(u)) -> exp(0.5*u)"),
    _row("pow(exp(u), v) -> exp(u*v)"),
    _row("pow(sigmoid(u), v) -> exp(v*logsigmoid(u))"),
    _row("pow(cosh(u), v) -> exp(v*logcosh(u))"),
    _row("pow(ndtr(u), v) -> exp(v*log_ndtr(u))"),
    _row("cosh(u) - 0.5*exp(u) -> 0.5*exp(-u)"),
    _row("sinh(u) - 0.5*exp(u) -> -0.5*exp(-u)"),
    _row("exp(u + c) - exp(u) -> exp(u)*(exp(c) - 1)"),
    _row("exp(u) - exp(u + c) -> exp(u)*(1 - exp(c))"),
    _row("exp(u) - expm1(u) -> 1"),
    _row("expm1(u) - exp(u) -> -1"),
    _row("where(w, u, v) - u*sigmoid(u) -> where(w, u*sigmoid(-u), v - u*sigmoid(u))"),
    _row("u*sigmoid(u) - where(w, u, v) -> -where(w, u*sigmoid(-u), v - u*sigmoid(u))"),
    _row("u - u*sigmoid(u) -> u*sigmoid(-u)"),
    _row("max(exp(u), exp(v)) -> exp(max(u, v))"),
    _row("min(exp(u), exp(v)) -> exp(min(u, v))"),
    _row("min(exp(u), 1) -> exp(min(u, 0))"),
    _row("max(exp(u), 1) -> exp(max(u, 0))"),
    _row("min(expm1(u), 0) -> expm1(min(u, 0))"),
    _row("max(expm1(u), 0) -> expm1(max(u, 0))"),
    _row("expm1(softplus(u)) -> exp(u)"),
    _row("expm1(logsigmoid(u)) -> -sigmoid(-u)"),
)

_LOGARITHMS = (
    _row("log1p(exp(u)) -> softplus(u)"),
    _row("log1p(-exp(u)) -> log(-expm1(u))", unbounded),
    _row("log1p(-sigmoid(u)) -> logsigmoid(-u)"),
    _row("log1p(-ndtr(u)) -> log_ndtr(-u)"),
    _row("log1p(-tanh(u)) -> where(0.5 < u, log(1 - tanh(max(u, 0.4))), log1p(-tanh(min(u, 0.6))))", unbounded),
    _row("log1p(-erf(u)) -> where(0.5 < u, log(erfc(max(u, 0.4))), log1p(-erf(min(u, 0.6))))", unbounded),
    _row("log1p(tanh(u)) -> where(u < -0.5, log(tanh(min(u, -0.4)) + 1), log1p(tanh(max(u, -0.6))))", unbounded),
    _row("log1p(erf(u)) -> where(u < -0.5, log(erf(min(u, -0.4)) + 1), log1p(erf(max(u, -0.6))))", unbounded),
    _row("log1p(u) - log(u) -> where(1 < u, log1p(1/u), where(1 < u, 0, log1p(u)) - log(u))"),
    _row("log(u) - log1p(u) -> -(log1p(u) - log(u))"),
    _row("(u + 1)*log1p(u) - u*log(u) -> u*(log1p(u) - log(u)) + log1p(u)"),
    _row("u*log(u) - (u + 1)*log1p(u) -> -((u + 1)*log1p(u) - u*log(u))"),
    _row("(u + c)*log(u + c) - u*log(u) -> u*(log(u + c) - log(u)) + c*log(u + c)"),
    _row("u*log(u) - (u + c)*log(u + c) -> -(u*(log(u + c) - log(u)) + c*log(u + c))"),
    _row(
        "log(u + c) - log(u) -> where(2*abs(c) < u, log1p(c/u), where(2*abs(c) < u, 0, log(u + c)) - log(u))",
        unbounded,
    ),
    _row("log(u) - log(u + c) -> -(log(u + c) - log(u))", unbounded),
    _row(f"log((u + c)/u) -> {_LOG_RATIO}"),
    _row(f"log(u/(u + c)) -> -{_LOG_RATIO}"),
    _row("log1p(expm1(u)) -> u"),
    _row("log((u + 1)/(1 - u)) -> log1p(u) - log1p(-u)"),
    _row("log((1 - u)/(u + 1)) -> log1p(-u) - log1p(u)"),
    _row("log(1 - u) -> log1p(-u)"),
    _row("log(1/u) -> -log(u)"),
    _row("log(u + 1) -> log1p(u)"),
    _row("log(exp(u)) -> u"),
    _row("log(exp(u) + exp(v)) -> max(u, v) + softplus(-abs(u - v))"),
    _row("log(exp(u) + c) -> softplus(u - log(c)) + log(c)", positive),
    _row("log(expm1(u)) -> where(1 < u, u + log(-expm1(-u)), log(expm1(min(u, 2))))", unbounded),
    _row(f"log(sinh(u)) -> where(1 < u, (u - {_LOG_2}) + log(-expm1(-2*u)), log(sinh(min(u, 2))))", unbounded),
    _row("log(sigmoid(u)) -> logsigmoid(u)"),
    _row("log(c*sigmoid(u)) -> logsigmoid(u) + log(c)", positive),
    _row("-softplus(-u) -> logsigmoid(u)"),
    _row("log(2*cosh(u)) -> logcosh(u) + 0.6931471805599453"),
    _row("log(cosh(u)) -> logcosh(u)"),
    _row("log(ndtr(u)) -> log_ndtr(u)"),
    _row("log(c*erfc(u)) -> log_ndtr(-1.4142135623730951*u) + log(2*c)", positive),
    _row("log(erfc(u)) -> log_ndtr(-1.4142135623730951*u) + 0.6931471805599453"),
    _row("log(erfcx(u)) -> where(u < 0, u*u + log(erfc(u)), log(erfcx(max(u, -1))))", unbounded),
    _row("log(softplus(u)) -> where(u < -20, u, log(softplus(max(u, -21))))", unbounded),
    _row("log(-expm1(-exp(u))) -> where(u < -20, u, log(-expm1(-exp(max(u, -21)))))", unbounded),
    _row("log(v*exp(u)) -> log(v) + u"),
    _row("log(v*sigmoid(u)) -> log(v) + logsigmoid(u)"),
    _row("log(v*ndtr(u)) -> log(v) + log_ndtr(u)"),
    _row("log(v*cosh(u)) -> log(v) + logcosh(u)"),
    _row(
        f"log(abs(sinh(u))) -> where(1 < abs(u), (abs(u) - {_LOG_2}) + log(-expm1(-2*max(abs(u), 0.5))),"
        " log(abs(sinh(max(min(u, 2), -2)))))",
        unbounded,
    ),
    _row("log(abs(expm1(u))) -> where(1 < u, u + log(-expm1(-max(u, 0.5))), log(abs(expm1(min(u, 2)))))", unbounded),
    _row(
        "log(tanh(u)) -> where(1 < u, log(-expm1(-2*max(u, 0.5))) - softplus(-2*max(u, 0.5)), log(tanh(min(u, 2))))",
        unbounded,
    ),
    _row("log(-expm1(u)) -> where(-0.7 < u, log(-expm1(max(u, -0.8))), log1p(-exp(min(u, -0.6))))", unbounded),
    _row("log(u*u) -> 2*log(abs(u))"),
    _row("softplus(u) - u -> softplus(-u)"),
    _row("softplus(u) - softplus(-u) -> u"),
    _row("softplus(u) - max(u, 0) -> softplus(-abs(u))"),
    _row("softplus(-abs(u)) + max(u, 0) -> softplus(u)"),
    _row(
        "softplus(u*w) - softplus((u + c)*w)"
        f" -> where({_CLOSE}, {_CLOSE_SOFTPLUS}, {_softplus_difference('(u*w)', '((u + c)*w)')})",
        of_parameters("w"),
    ),
    _row(
        "softplus((u + c)*w) - softplus(u*w) -> -(softplus(u*w) - softplus((u + c)*w))",
        of_parameters("w"),
    ),
    _row(f"softplus(u) - softplus(v) -> {_softplus_difference('u', 'v')}", unclipped),
    _row("softplus(u) + logsigmoid(v) -> softplus(u) - softplus(-v)"),
    _row("logcosh(u) - abs(u) -> softplus(-2*abs(u)) - 0.6931471805599453"),
    _row("logcosh(u) - u -> softplus(-2*u) - 0.6931471805599453"),
    _row("logcosh(u) + u -> softplus(2*u) - 0.6931471805599453"),
    _row("logcosh(-u) -> logcosh(u)"),
    _row("asinh(exp(u)) -> where(0 < u, u + log1p(sqrt(exp(-2*u) + 1)), asinh(exp(min(u, 1))))", unbounded),
)

_HYPERBOLIC = (
    _row("exp(u) - exp(-u) -> 2*sinh(u)"),
    _row("exp(-u) - exp(u) -> -2*sinh(u)"),
    _row("exp(u) + exp(-u) -> 2*cosh(u)"),
    _row("cosh(u) - sinh(u) -> exp(-u)"),
    _row("cosh(u) + sinh(u) -> exp(u)"),
    _row("cosh(-u) -> cosh(u)"),
    _row("exp(u)/cosh(u) -> 2*sigmoid(2*u)"),
    _row("exp(-u)/cosh(u) -> 2*sigmoid(-2*u)"),
    _row("exp(u) - cosh(u) -> sinh(u)"),
    _row("exp(u) - sinh(u) -> cosh(u)"),
    _row("cosh(u)*cosh(u) - sinh(u)*sinh(u) -> 1"),
    _row("sinh(u)*sinh(u) - cosh(u)*cosh(u) -> -1"),
    _row("sin(u)*sin(u) + cos(u)*cos(u) -> 1"),
    _row("sinh(u)/cosh(u) -> tanh(u)"),
    _row("cosh(u)/sinh(u) -> 1/tanh(u)"),
    _row("sinh(u)*exp(-u) -> -0.5*expm1(-2*u)"),
    _row("sinh(u)*exp(u) -> 0.5*expm1(2*u)"),
    _row("cosh(u)*exp(-u) -> 0.5*exp(-2*u) + 0.5"),
    _row("cosh(u)*exp(u) -> 0.5*exp(2*u) + 0.5"),
    _row("cosh(u)*exp(-abs(u)) -> 0.5*exp(-2*abs(u)) + 0.5"),
    _row("sinh(u)*sinh(u) + 1 -> cosh(u)*cosh(u)"),
    _row("(c*u)/(d*v) -> (c/d)*(u/v)"),
    _row("cosh(u) - 1 -> 2*(sinh(0.5*u)*sinh(0.5*u))"),
    _row("1 - cos(u) -> 2*(sin(0.5*u)*sin(0.5*u))"),
    _row("cos(u) + 1 -> 2*(cos(0.5*u)*cos(0.5*u))"),
    _row("cos(u) - 1 -> -2*(sin(0.5*u)*sin(0.5*u))"),
    _row("1 - tanh(u) -> 2*sigmoid(-2*u)"),
    _row("tanh(u) - 1 -> -2*sigmoid(-2*u)"),
    _row("tanh(u) + 1 -> 2*sigmoid(2*u)"),
    _row("1 - tanh(u)*tanh(u) -> (1/cosh(u))*(1/cosh(u))"),
    _row("c*tanh(u) + c -> c*(tanh(u) + 1)"),
    _row("c*tanh(u) + d -> c*(tanh(u) - 1)", opposite),
    _row("c - c*tanh(u) -> c*(1 - tanh(u))"),
    _row("c*erf(u) + c -> c*(erf(u) + 1)"),
    _row("c*erf(u) + d -> c*(erf(u) - 1)", opposite),
    _row("c - c*erf(u) -> c*(1 - erf(u))"),
    _row(f"c*atan(u) + d -> c*(atan(u) + {_TURN})", half_turn),
    _row(f"c*atan(u) + d -> c*(atan(u) + (-{_TURN}))", minus_half_turn),
    _row(f"d - c*atan(u) -> c*({_TURN} - atan(u))", half_turn),
    _row("asinh(sinh(u)) -> u"),
    _row("sinh(asinh(u)) -> u"),
    _row("tan(atan(u)) -> u"),
    _row(f"{_TURN} - atan(u) -> where(1 < u, atan(1/u), {_TURN} - atan(min(u, 2)))", unbounded),
    _row(f"atan(u) + (-{_TURN}) -> where(1 < u, -atan(1/u), atan(min(u, 2)) + (-{_TURN}))", unbounded),
    _row(f"atan(u) + {_TURN} -> where(u < -1, -atan(1/u), atan(max(u, -2)) + {_TURN})", unbounded),
)

_ERRORS = (
    _row("1 - erf(u) -> erfc(u)"),
    _row("erf(u) + 1 -> erfc(-u)"),
    _row("erf(u) - 1 -> -erfc(u)"),
    _row("1 - erfc(u) -> erf(u)"),
    _row("min(erfc(u), 1) -> erfc(max(u, 0))"),
    _row("max(erfc(u), 1) -> erfc(min(u, 0))"),
    _row("2 - erfc(u) -> erfc(-u)"),
    _row("erfc(u) - 1 -> -erf(u)"),
    _row("1 - ndtr(u) -> ndtr(-u)"),
    _row(f"ndtr(u) + (-0.5) -> 0.5*erf({_HALF_ROOT}*u)"),
    _row(f"0.5 - ndtr(u) -> -0.5*erf({_HALF_ROOT}*u)"),
    _row("1 - erf(u)*erf(u) -> erfc(u)*erfc(-u)"),
    _row("1 - ndtr(u)*ndtr(u) -> ndtr(-u)*(ndtr(u) + 1)"),
    _row("exp(u*u)*erfc(u) -> erfcx(u)"),
    _row("exp(u*u)*erfc(-u) -> erfcx(-u)"),
    _row("(v*exp(u*u))*erfc(u) -> v*erfcx(u)"),
    _row("(v*erfc(u))*exp(u*u) -> v*erfcx(u)"),
    _row("exp(c*(u*u))*erfc(d*u) -> erfcx(d*u)", square),
    _row(f"exp(0.5*(u*u))*ndtr(-u) -> 0.5*erfcx({_HALF_ROOT}*u)"),
    _row(f"exp(0.5*(u*u))*ndtr(u) -> 0.5*erfcx(-{_HALF_ROOT}*u)"),
    _row(f"(v*ndtr(-u))*exp(0.5*(u*u)) -> v*(0.5*erfcx({_HALF_ROOT}*u))"),
    _row(f"(v*ndtr(u))*exp(0.5*(u*u)) -> v*(0.5*erfcx(-{_HALF_ROOT}*u))"),
    _row("exp(-(u*u))*erfcx(u) -> erfc(u)"),
    _row("exp(-(u*u))/erfc(u) -> 1/erfcx(u)"),
    _row("(c*exp(-(u*u)))/erfc(u) -> c/erfcx(u)"),
    _row("exp(-(u*u))/erfc(-u) -> 1/erfcx(-u)"),
    _row("(c*exp(-(u*u)))/erfc(-u) -> c/erfcx(-u)"),
    _row("exp(-0.5*(u*u))/ndtr(-u) -> 2/erfcx(0.7071067811865476*u)"),
    _row("(c*exp(-0.5*(u*u)))/ndtr(-u) -> (2*c)/erfcx(0.7071067811865476*u)"),
    _row("exp(-0.5*(u*u))/ndtr(u) -> 2/erfcx(-0.7071067811865476*u)"),
    _row("(c*exp(-0.5*(u*u)))/ndtr(u) -> (2*c)/erfcx(-0.7071067811865476*u)"),
    _row("u*sigmoid(u) - max(u, 0) -> -(abs(u)*sigmoid(-abs(u)))"),
    _row("u*ndtr(u) - max(u, 0) -> -(abs(u)*ndtr(-abs(u)))"),
    _row("i1e(u)/u -> i1e_ratio(u)"),
    _row("i0e(u) - i1e(u) -> i0e_minus_i1e(u)"),
    # The slope of I0(u) = i0e(u)*exp(abs(u)) is I1(u); `i0e` and what it falls by are both 1 at 0.
    _row(
        "where(u == 0, 0, (exp(abs(u))*(v*i0e(u)))*sign(u)) - (v*exp(abs(u)))*(sign(u)*i0e_minus_i1e(abs(u)))"
        " -> v*(exp(abs(u))*i1e(u))"
    ),
    _row("i1e(u) - i0e(u) -> -i0e_minus_i1e(u)"),
)

_ROOTS = (
    _row("sqrt(u + 1) - 1 -> u/(sqrt(u + 1) + 1)"),
    _row("1 - sqrt(u + 1) -> -(u/(sqrt(u + 1) + 1))"),
    _row("sqrt(u + c) - sqrt(u) -> c/(sqrt(u + c) + sqrt(u))", positive),
    _row("sqrt(u) - sqrt(u + c) -> -(c/(sqrt(u + c) + sqrt(u)))", positive),
    _row("sqrt(u*u) -> abs(u)"),
    _row("sqrt(u*u + 1) -> hypot1(u)"),
    _row("sqrt((u*u)*(v*v) + 1) -> hypot1(u*v)", apart),
    _row("sqrt((u*u)*(v*v) + w) -> sqrt((u*v)*(u*v) + w)", apart),
    _row("sqrt(exp(2*u) + 1) -> hypot1(exp(u))"),
    _row("sqrt(u*u + c) -> sqrt(c)*hypot1(u*(1/sqrt(c)))", positive),
    _row("hypot1(u) - 1 -> u*(u/(hypot1(u) + 1))"),
    _row("hypot1(u) - u -> exp(-asinh(u))"),
    _row("u - hypot1(u) -> -exp(-asinh(u))"),
    _row("hypot1(u) + u -> exp(asinh(u))"),
    _row("c*hypot1(d*u) + u -> c*(hypot1(d*u) + d*u)", inverse),
    _row("c*hypot1(d*u) - u -> c*(hypot1(d*u) - d*u)", inverse),
    _row("u - c*hypot1(d*u) -> c*(d*u - hypot1(d*u))", inverse),
    _row("u/hypot1(u) + 1 -> where(u < 0, exp(asinh(u))/hypot1(u), where(u < 0, 0, u/hypot1(u)) + 1)"),
    _row("1 - u/hypot1(u) -> where(0 < u, exp(-asinh(u))/hypot1(u), 1 - where(0 < u, 0, u/hypot1(u)))"),
    _row(
        "c*(u/hypot1(c*u)) + 1 -> where(c*u < 0, exp(asinh(c*u))/hypot1(c*u), where(c*u < 0, 0, c*(u/hypot1(c*u))) + 1)"
    ),
    _row(
        "1 - c*(u/hypot1(c*u))"
        " -> where(0 < c*u, exp(-asinh(c*u))/hypot1(c*u), 1 - where(0 < c*u, 0, c*(u/hypot1(c*u))))"
    ),
    _row("c*(u/hypot1(u)) + c -> c*(u/hypot1(u) + 1)"),
    _row("(u*u)/hypot1(u) + u -> u*(u/hypot1(u) + 1)"),
    _row("u - (u*u)/hypot1(u) -> u*(1 - u/hypot1(u))"),
    _row("c*((u*u)/hypot1(c*u)) + u -> u*((c*u)/hypot1(c*u) + 1)"),
    _row("u - c*((u*u)/hypot1(c*u)) -> u*(1 - (c*u)/hypot1(c*u))"),
    _row("d*((u*u)/hypot1(c*u)) + u -> u*(1 - (c*u)/hypot1(c*u))", opposite),
    _row("u*(u/(hypot1(u) + 1)) + u -> u*(((hypot1(u) + u) + 1)/(hypot1(u) + 1))"),
    _row("u - u*(u/(hypot1(u) + 1)) -> u*(((hypot1(u) - u) + 1)/(hypot1(u) + 1))"),
    _row("(u + c*hypot1(d*v)) - c*hypot1(d*w) -> u + (c*hypot1(d*v) - c*hypot1(d*w))"),
    _row(
        "c*hypot1(d*v) - c*hypot1(d*w) -> (c*d)*((v - w)*((d*(v + w))/(hypot1(d*v) + hypot1(d*w))))",
    ),
    _row("hypot1(v) - hypot1(w) -> (v - w)*((v + w)/(hypot1(v) + hypot1(w)))"),
    _row("c - c*(u/hypot1(u)) -> c*(1 - u/hypot1(u))"),
    _row(
        "sqrt(u*u + v) + u -> where(u < 0, v/(where(u < 0, sqrt(u*u + v), 1) - u), where(u < 0, 0, sqrt(u*u + v)) + u)"
    ),
    _row(
        "sqrt(u*u + v) - u -> where(0 < u, v/(where(0 < u, sqrt(u*u + v), 1) + u), where(0 < u, 0, sqrt(u*u + v)) - u)"
    ),
    _row("u - sqrt(u*u + v) -> -(sqrt(u*u + v) - u)"),
    _row(
        "u/sqrt(u*u + v) + 1 -> where(u < 0, (sqrt(u*u + v) + u)/sqrt(u*u + v), where(u < 0, 0, u/sqrt(u*u + v)) + 1)"
    ),
    _row(
        "1 - u/sqrt(u*u + v) -> where(0 < u, (sqrt(u*u + v) - u)/sqrt(u*u + v), 1 - where(0 < u, 0, u/sqrt(u*u + v)))"
    ),
    _row("(u*u)/sqrt(u*u + v) + u -> u*(u/sqrt(u*u + v) + 1)"),
    _row("u - (u*u)/sqrt(u*u + v) -> u*(1 - u/sqrt(u*u + v))"),
    _row("sqrt(v*v + u) - sqrt(w*w + u) -> (v - w)*((v + w)/(sqrt(v*v + u) + sqrt(w*w + u)))"),
    _row("(z + sqrt(v*v + u)) - sqrt(w*w + u) -> z + (sqrt(v*v + u) - sqrt(w*w + u))"),
    _row("z*(c*w) - z*(u*(c*(w/sqrt(u*u + v)))) -> (z*(c*w))*(1 - u/sqrt(u*u + v))"),
    _row(
        "sqrt((u + c)*(u + d)) - u"
        " -> where(0 < u, (c*d)/(where(0 < u, sqrt((u + c)*(u + d)), 1) + u),"
        " where(0 < u, 0, sqrt((u + c)*(u + d))) - u)",
        opposite,
    ),
    _row(
        "sqrt((u + c)*(u + d)) + u"
        " -> where(u < 0, (c*d)/(where(u < 0, sqrt((u + c)*(u + d)), 1) - u),"
        " where(u < 0, 0, sqrt((u + c)*(u + d))) + u)",
        opposite,
    ),
    _row("u - sqrt((u + c)*(u + d)) -> -(sqrt((u + c)*(u + d)) - u)", opposite),
)


def _power_differences(power: str, shifted: str) -> tuple[Rewrite, Rewrite]:
    """Two powers whose bases differ by a constant: where the bases are large, by their ratio."""
    far = "2*abs(c) < abs(u)"
    text = f"where({far}, {power}*expm1(v*log1p(where({far}, c/u, 1))), where({far}, 0, {shifted}) - {power})"
    return _row(f"{shifted} - {power} -> {text}"), _row(f"{power} - {shifted} -> -{text}")


# Roots of absolute values whose product is a whole power, smooth at 0 as they are not.
_ROOT_PRODUCTS = (
    _row("sqrt(abs(u))*sqrt(abs(u)) -> abs(u)"),
    _row("sqrt(abs(u))*(v*sqrt(abs(u))) -> v*abs(u)"),
    _row("(v*sqrt(abs(u)))*(w*sqrt(abs(u))) -> (v*w)*abs(u)"),
    _row("sqrt(abs(u))*pow(abs(u), c) -> pow(abs(u), c + 0.5)", small_powers),
    _row("pow(abs(u), c)*pow(abs(u), d) -> pow(abs(u), c + d)", small_powers),
    _row("pow(abs(u), c)*(v*pow(abs(u), d)) -> v*pow(abs(u), c + d)", small_powers),
    _row("(v*pow(abs(u), c))*(w*pow(abs(u), d)) -> (v*w)*pow(abs(u), c + d)", small_powers),
    _row("pow(pow(abs(u), c), d) -> pow(abs(u), c*d)", small_powers),
    _row("pow(sqrt(abs(u)), c) -> pow(abs(u), 0.5*c)", small_powers),
    _row("sqrt(pow(abs(u), c)) -> pow(abs(u), 0.5*c)", small_powers),
    _row("(sign(u)*sign(u))*pow(abs(u), c) -> pow(abs(u), c)", small_powers),
    _row("(sign(u)*sign(u))*abs(u) -> abs(u)"),
    _row("sign(u)*(v*abs(u)) -> v*u"),
    _row("(v*sign(u))*abs(u) -> v*u"),
    _row("pow(abs(u), 0.5) -> sqrt(abs(u))"),
    _row("pow(abs(u), 1) -> abs(u)"),
    _row("pow(abs(u), 2) -> u*u"),
    _row("pow(abs(u), 3) -> abs(u)*(u*u)"),
    _row("pow(abs(u), 4) -> (u*u)*(u*u)"),
)

_POWERS = (
    *_power_differences("pow(u, v)", "pow(u + c, v)"),
    *_power_differences("sign(u)*pow(abs(u), v)", "sign(u + c)*pow(abs(u + c), v)"),
    _row("pow(u*u, v) -> pow(abs(u), 2*v)"),
    _row("pow(1/u, v) -> pow(u, -v)"),
    # What is no number stays that, as it would not in the min of it and 0.
    _row(
        "pow(u + 1, -(1/w)) -> where(0 < u + 1, exp(-(log1p(u)/w)), pow(where(0 < u + 1, 0, u + 1), -(1/w)))",
        of_parameters("w"),
    ),
    _row(
        "pow(u + 1, v) - 1 -> where(abs(u) < 0.5, expm1(v*log1p(u)), where(abs(u) < 0.5, 1, pow(u + 1, v)) - 1)",
    ),
    _row(
        "pow(tanh(u), v) -> where(1 < u, exp(v*(log(-expm1(-2*max(u, 0.5))) - softplus(-2*max(u, 0.5)))),"
        " pow(tanh(min(u, 2)), v))",
        unbounded,
    ),
)


def _saturated(growing: str, clipped: str, falling: str) -> tuple[Rewrite, ...]:
    """What has its limit long before an exponential that it is a function of overflows, slopes included.

    Beyond exp(20) these functions are constant in float64, but what they are multiplied by may grow still: exp(80) is
    5.5e34, more than any x that it is compared with. It is a number of float32, too.
    """
    return (
        *(
            _row(f"{name}({factor}{growing}(u)) -> {name}({factor}{growing}({clipped}))", when)
            for name in ("tanh", "erf", "erfc", "sigmoid", "ndtr")
            for factor, when in (("", unbounded), ("-", unbounded), ("c*", saturating_factor))
        ),
        *(
            _row(f"{name}({factor}{growing}(u)) -> {name}({factor}{growing}({falling}))", when)
            for name in ("exp", "expm1", "softplus")
            for factor, when in (("-", unbounded), ("c*", falling_factor))
        ),
    )


def _series(first: int, last: int) -> str:
    """`1 + u/first*(1 + u/(first + 1)*(...))`, as text."""
    text = f"(1 + u*{1.0 / last!r})"
    for k in range(last - 1, first - 1, -1):
        text = f"(1 + u*{1.0 / k!r}*{text})"
    return text


def _fraction(u: str, first: int) -> str:
    """k + u*u/(k + 2 + u*u/(k + 4 + ...)) for k = first, to float64 for |u| < 1, its second derivative too."""
    text = "19"
    for k in range(17, first - 2, -2):
        text = f"({k} + {u}*{u}/{text})"
    return text


def _tanh_ratio(u: str) -> str:
    """tanh(u)/u, whose series ends at pi/2, by its continued fraction (DLMF 4.39.1)."""
    return f"(1/{_fraction(u, 1)})"


def _saturated_tanh(u: str) -> str:
    """tanh(u) with a slope of 0, not times infinity, where that is less than any float64."""
    return f"tanh(max(min({u}, 400), -400))"


# Removable singularities: near 0 by a form whose derivative does not cancel, elsewhere by products
# that these rows do not match again.
_LANGEVIN = f"u/{_fraction('u', 3)}"
_MISH = "exp(min(u, 20))*(exp(min(u, 20)) + 2)"
# sinh(u/2)/(u/2) for |u| < 1, its Taylor series in u*u.
_SINHC = "(1 + u*u*{}*(1 + u*u*{}*(1 + u*u*{}*(1 + u*u*{}*(1 + u*u*{}*(1 + u*u*{}*(1 + u*u*{})))))))".format(
    *[0.25 / k for k in (6, 20, 42, 72, 110, 156, 210)]
)
_QUOTIENTS = (
    # What a parameter scales and divides: near 0 its slope in that is a derivative of a quotient, and no difference.
    _row(
        f"tanh(u*w)/w -> where(abs(u*w) < 1, u*{_tanh_ratio('(u*w)')}, {_saturated_tanh('(u*w)')}*(1/w))",
        of_parameters("w"),
    ),
    _row(
        f"tanh(c*(u*w))/w -> where(abs(c*(u*w)) < 1, (c*u)*{_tanh_ratio('(c*(u*w))')},"
        f" {_saturated_tanh('(c*(u*w))')}*(1/w))",
        of_parameters("w"),
    ),
    _row(
        "log1p(u*w)/w -> where(abs(u*w) < 1, u*(log1p(u*w)/expm1(log1p(u*w))), log1p(u*w)*(1/w))",
        of_parameters("w"),
    ),
    _row(f"tanh(u)/u -> where(abs(u) < 1, {_tanh_ratio('u')}, tanh(u)*(1/u))"),
    _row(f"expm1(u)/u -> where(abs(u) < 1, exp(0.5*u)*{_SINHC}, expm1(u)*(1/u))"),
    _row(f"u/expm1(u) -> where(abs(u) < 1, exp(-0.5*u)/{_SINHC}, u*(1/expm1(u)))"),
    _row("log1p(u)/u -> where(abs(u) < 0.5, log1p(u)/expm1(log1p(u)), log1p(u)*(1/u))"),
    _row(f"expm1(u) - u -> where(abs(u) < 0.5, (u*u)*(0.5*{_series(3, 14)}), exp(u) - (u + 1))"),
    _row(f"expm1(-u) + u -> where(abs(u) < 0.5, (u*u)*(0.5*{_series(3, 14).replace('u', '(-u)')}), exp(-u) + (u - 1))"),
    _row("where(w, u*v, z)/u -> where(w, v, z/u)", total),
    _row(f"1/tanh(u) - 1/u -> where(abs(u) < 1, {_LANGEVIN}, (1 - tanh(u)/u)/tanh(u))"),
    _row(f"tanh(softplus(u)) -> ({_MISH})/({_MISH} + 2)"),
    _row("tan(u)/sin(u) -> 1/cos(u)"),
    _row("u/(1 - v) - u -> u*(v/(1 - v))"),
    _row("sin(u)/u -> sinc(u)"),
    _row("sin(c*u)/u -> c*sinc(c*u)"),
    _row("(u*u)/(v*v) -> (u/v)*(u/v)"),
    _row("(u*v)/u -> v", total),
    _row("(v/u)*u -> v", total),
    _row("(c*u)/v -> c*(u/v)"),
    _row("u/(c*v) -> (1/c)*(u/v)", invertible),
    _row("(u*(u*u))/(abs(u)*(u*u) + 1) -> (u*(u*u))/(abs(u*(u*u)) + 1)"),
    _row("u/v - w/v -> (u - w)/v"),
    _row("u/v + w/v -> (u + w)/v"),
    _row("1 - u/(u + v) -> v/(u + v)"),
    _row("log(u)/(u - 1) -> where(abs(u - 1) < 0.5, log1p(u - 1)/(u - 1), log(u)*(1/(u - 1)))"),
    _row("1 - u*u -> (1 - u)*(u + 1)"),
    _row("u*u + c -> (u - sqrt(-c))*(u + sqrt(-c))", negative_square),
    _row("c*u - c*(u + d) -> -(c*d)", total),
    _row("c*(u + d) - c*u -> c*d", total),
    _row("1 - u/(abs(u) + 1) -> ((abs(u) - u) + 1)/(abs(u) + 1)"),
    _row("u/(abs(u) + 1) + 1 -> ((abs(u) + u) + 1)/(abs(u) + 1)"),
    _row("c*(u/(abs(u) + 1)) + c -> c*(u/(abs(u) + 1) + 1)"),
    _row("c - c*(u/(abs(u) + 1)) -> c*(1 - u/(abs(u) + 1))"),
    _row("c*u + d -> c*(u + d/c)", huge),
    _row("u - u*v -> u*(1 - v)"),
    _row("u*v - u -> u*(v - 1)"),
    _row("v*u - u -> u*(v - 1)"),  # A product is matched in the order that fits its first variable.
    _row("v/(u*u) -> (v/u)/u"),
)

# Slopes in a parameter: what it scales or is subtracted from, less nearly the same.
_PARAMETERS = (
    _row("u*w - (z + u*(w*sigmoid(v))) -> u*(w*sigmoid(-v)) - z"),
    _row("u*w - (z + u*(w*erf(v))) -> u*(w*erfc(v)) - z"),
    _row("w - (z + w*ndtr(v)) -> w*ndtr(-v) - z"),
    _row("(w*((u*(v - z))/(1 - z)))/(1 - z) - u*(w/(1 - z)) -> (u*(w/(1 - z)))*((v - 1)/(1 - z))"),
    _row(
        "u*((w/v)*sigmoid(u*v)) - (w*(softplus(u*v)/v))/v"
        " -> -((w/v)*((abs(u*v)*sigmoid(-abs(u*v)) + softplus(-abs(u*v)))/v))"
    ),
    _row("(w*(v/u))/u - w*((1/u)/u) -> w*(((v - 1)/u)/u)"),
    _row("z/expm1(w) - v*(((u/expm1(w))*z)*(-1/expm1(-w))) -> (z/expm1(w))*((expm1(-w) + u*v)/expm1(-w))"),
    _row("u*v - v*(u + c) -> (-c)*v", total),
    _row("v*(u + c) - u*v -> c*v", total),
)

# FINER (Liu et al. 2024, arXiv:2312.02434) in one spelling, which kernels know; w is learned.
_FINER = (
    *(
        _row(f"sin({angle}) -> sin(u*(c*(abs(u) + 1)))", invertible)
        for angle in (
            "(c*u)*(abs(u) + 1)",
            "c*(u*(abs(u) + 1))",
            "c*u + (c*u)*abs(u)",
            "c*u + c*(u*abs(u))",
            "c*(u*abs(u) + u)",
        )
    ),
    *(
        _row(f"sin({angle}) -> sin(u*(w*(abs(u) + 1)))", of_parameters("w"))
        # What settles u stands first: a match is not taken back.
        for angle in ("(abs(u) + 1)*(w*u)", "((abs(u) + 1)*u)*w", "abs(u)*(w*u) + w*u", "(abs(u)*u + u)*w")
    ),
)

_SATURATED = (
    *_saturated("exp", "min(u, 80)", "min(u, 80)"),
    *_saturated("expm1", "min(u, 80)", "min(u, 80)"),
    *_saturated("sinh", "max(min(u, 80), -80)", "min(u, 80)"),
    *_saturated("cosh", "max(min(u, 80), -80)", "max(min(u, 80), -80)"),
)

_POSITIVE_VALUES = (
    *(
        _row(f"abs({name}(u)) -> {name}(u)")
        for name in ("exp", "sigmoid", "softplus", "cosh", "ndtr", "erfc", "erfcx", "hypot1", "logcosh", "i0e", "sqrt")
    ),
    *(_row(f"abs(u*{name}(v)) -> abs(u)*{name}(v)") for name in ("exp", "sigmoid", "ndtr", "cosh")),
    _row("abs(u*u) -> u*u"),
    _row("sign(u*exp(v)) -> sign(u)"),
)

_BRANCHES = (
    _row("max(u + c, 0) - max(u + d, 0) -> where(0 < u + d, c - d, max(u + c, 0))", descending),
    _row("max(u + c, 0) - max(u + d, 0) -> -where(0 < u + c, d - c, max(u + d, 0))", ascending),
    _row("min(max(u + c, 0), max(c - u, 0)) -> max(c - abs(u), 0)"),
    _row("where(1 - (u == v), w, z) -> where(u == v, z, w)"),
    _row("where(w, u, 0) + where(w, 0, v) -> where(w, u, v)"),
    _row("where(w, u, u) -> u"),
)

_LAST = (
    _row("(u*w)/(abs(u) + v) -> w*(u/(abs(u) + v))", of_parameters("v", "w")),
    _row("(u*v)/w -> u*(v/w)", of_parameters("v", "w")),
    _row("(u*v)/w -> v*(u/w)", of_parameters("u", "w")),
    _row("u/c -> u*(1/c)", invertible),
)

REWRITES: tuple[Rewrite, ...] = (
    *_EXPONENTIALS,
    *_LOGARITHMS,
    *_HYPERBOLIC,
    *_ERRORS,
    *_ROOTS,
    *_ROOT_PRODUCTS,
    *_POWERS,
    *_FINER,
    *_SATURATED,
    *_POSITIVE_VALUES,
    *_QUOTIENTS,
    *_PARAMETERS,
    *_BRANCHES,
    *_NORMAL,
    *_LAST,
)
