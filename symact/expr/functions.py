"""The table of functions that a formula may call: one row each, with what mathematics knows of the function.

In: nothing. Out: `FUNCTIONS`, name -> `Function`, and `resolve(name)`, which knows the aliases too.
A row gives a function's arity, the SymPy object it becomes (its *head*), and, where it is not
elementary, its definition in simpler rows. The definition is the meaning of the function: canonical
forms expand it, high-precision checks evaluate it. Rows marked `macro` have no head of their own;
they are only a shorter way to write their definition.

Domain, sign, parity and the like are formulas, too. Every set of functions that identity, display or a
test needs ("even", "never negative", "with a kink") is read off the rows, and a test checks every entry of every row
against high precision. How a function is computed stands elsewhere: `docs/architecture.md` lists where.

Heads are built unevaluated, since SymPy's automatic evaluation forgets where a function is
undefined (`exp(log(x))` is not `x` for negative `x`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy
from sympy.functions.elementary.piecewise import ExprCondPair

from symact.expr.spelling import spellings

X = sympy.Symbol("x", real=True)
G = sympy.Symbol("g", real=True)
A = sympy.Symbol("a", real=True)
B = sympy.Symbol("b", real=True)
# What formulas may be functions of: the inputs of an expression, the arguments of an operator.
SYMBOLS = {symbol.name: symbol for symbol in (X, G, A, B)}


@dataclass(frozen=True)
class Function:
    """A function that formulas may call.

    The mathematics, all of it formula text in `x`, stands in the rows of functions of one argument that are computed
    as they are; of a function that is walked through its definition, the definition says it all.

    Attributes:
        name: its one name in generated text.
        arity: number of arguments; None for two or more.
        build: unevaluated SymPy arguments -> unevaluated SymPy expression; None for a macro.
        head: the SymPy class that `build` makes, or None where it is `Add`, `Mul` or `Pow`.
        definition: formula text over simpler rows, in `x`, in `a` and `b`, or in `x`, `a` and `b`; `""` for an
            elementary row.
        aliases: other accepted names.
        derivative: where the function has one; at a kink, the one that is declared (as PyTorch does, see `gradient`).
        domain: a condition `... > 0`, `... >= 0` or `... != 0` for being defined, single points apart; `""` everywhere.
        sign: a formula that has the function's sign wherever that is defined; `""` where nothing simple has.
        parity: `even` or `odd`, or `""`.
        pieces: quantities at whose sign changes it passes from one analytic function to another.
        flat: it is constant on some interval.
        exponential: it grows, or approaches another function, exponentially fast: exp(-2*11) is 3e-10.
    """

    name: str
    arity: int | None
    build: Callable[..., sympy.Expr] | None
    head: type | None = None
    definition: str = ""
    aliases: tuple[str, ...] = ()
    derivative: str = ""
    domain: str = ""
    sign: str = ""
    parity: str = ""
    pieces: tuple[str, ...] = ()
    flat: bool = False
    exponential: bool = False

    @property
    def edge(self) -> tuple[str, str]:
        """The quantity that the domain asks something of, and what: `>`, `>=` or `!=`; empty for a total function."""
        quantity, relation, _ = self.domain.rsplit(" ", 2) if self.domain else ("", "", "")
        return quantity, relation

    @property
    def breakpoints(self) -> tuple[str, ...]:
        """Quantities at whose sign changes it passes to another piece, or ends."""
        return (*self.pieces, self.edge[0]) if self.domain else self.pieces


def _head(name: str, latex: str | None = None) -> Any:
    def _latex(self: Any, printer: Any, exp: str | None = None) -> str:
        shown = latex or rf"\operatorname{{{name.replace('_', chr(92) + '_')}}}"
        power = f"^{{{exp}}}" if exp is not None else ""
        return rf"{shown}{power}\left({printer._print(self.args[0])}\right)"

    body = {
        "nargs": 1,
        "is_real": True,
        "_latex": _latex,
        "__module__": __name__,
        "__doc__": f"SymPy head of `{name}`.",
    }
    return type(name, (sympy.Function,), body)


def _native(name: str, head: Any, derivative: str, **known: Any) -> Function:
    return Function(name, 1, lambda x: head(x, evaluate=False), head, derivative=derivative, **known)


def _defined(name: str, definition: str, aliases: tuple[str, ...] = (), **known: Any) -> Function:
    head = _head(name)
    return Function(name, 1, lambda x: head(x, evaluate=False), head, definition, aliases, **known)


def _elementary(name: str, derivative: str, **known: Any) -> Function:
    return _defined(name, "", derivative=derivative, **known)


def _macro(name: str, arity: int, definition: str, aliases: tuple[str, ...] = ()) -> Function:
    return Function(name, arity, None, None, definition, aliases)


def add(*terms: sympy.Expr) -> sympy.Expr:
    """Unevaluated sum."""
    return sympy.Add(*terms, evaluate=False)


def mul(*factors: sympy.Expr) -> sympy.Expr:
    """Unevaluated product."""
    return sympy.Mul(*factors, evaluate=False)


def power(base: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
    """Unevaluated real power, undefined for a negative base and a non-integer exponent."""
    return sympy.Pow(base, exponent, evaluate=False)


def negate(x: sympy.Expr) -> sympy.Expr:
    """Unevaluated `-x`; a number changes its sign."""
    return -x if x.is_Number else mul(sympy.Integer(-1), x)


def where(condition: sympy.Basic, then: sympy.Expr, otherwise: sympy.Expr) -> sympy.Expr:
    """Unevaluated `Piecewise`: only the branch that is taken has to be defined."""
    return piecewise((then, condition), (otherwise, sympy.true))


def piecewise(*branches: tuple[sympy.Basic, sympy.Basic]) -> sympy.Expr:
    """Unevaluated `Piecewise` of (value, condition) pairs.

    SymPy's own constructor folds a condition that holds another `Piecewise`, even when it is told
    not to evaluate; four nested ELUs take it seconds.
    """
    pairs = (sympy.Tuple.__new__(ExprCondPair, value, condition) for value, condition in branches)
    return sympy.Basic.__new__(sympy.Piecewise, *pairs)


# SELU: Klambauer et al. 2017 (arXiv:1706.02515), equation 14, with PyTorch's digits.
SELU_SCALE, SELU_ALPHA = "1.0507009873554804934193349852946", "1.6732632423543772848170429916717"

_KINK = ("x",)

_ROWS = (
    # Elementary: these are the base of all definitions.
    _native("abs", sympy.Abs, "sign(x)", aliases=("Abs",), sign="abs(x)", parity="even", pieces=_KINK),
    _native("sign", sympy.sign, "0", aliases=("sgn",), sign="x", parity="odd", pieces=_KINK, flat=True),
    _native("exp", sympy.exp, "exp(x)", sign="1", exponential=True),
    _native("log", sympy.log, "1/x", aliases=("ln",), domain="x > 0", sign="x - 1"),
    _native("floor", sympy.floor, "0", pieces=("sin(pi*x)",), flat=True),
    _native("sin", sympy.sin, "cos(x)", parity="odd"),
    _native("cos", sympy.cos, "-sin(x)", parity="even"),
    _native("tan", sympy.tan, "tan(x)**2 + 1", domain="cos(x) != 0", parity="odd"),
    _native("sinh", sympy.sinh, "cosh(x)", sign="x", parity="odd", exponential=True),
    _native("cosh", sympy.cosh, "sinh(x)", sign="1", parity="even", exponential=True),
    _native("tanh", sympy.tanh, "1/cosh(x)**2", sign="x", parity="odd", exponential=True),
    _native("asinh", sympy.asinh, "1/sqrt(1 + x**2)", aliases=("arcsinh",), sign="x", parity="odd"),
    _native("atan", sympy.atan, "1/(x**2 + 1)", aliases=("arctan",), sign="x", parity="odd"),
    _native("erf", sympy.erf, "2/sqrt(pi)*exp(-x**2)", sign="x", parity="odd", exponential=True),
    _native("erfc", sympy.erfc, "-2/sqrt(pi)*exp(-x**2)", sign="1", exponential=True),
    _elementary("i0e", "i1e(x) - sign(x)*i0e(x)", aliases=("bessel_i0e",), sign="1", parity="even", pieces=_KINK),
    _elementary(
        "i1e",
        "i0e(x) - where(x == 0, 1/2, i1e(x)/x) - sign(x)*i1e(x)",
        aliases=("bessel_i1e",),
        sign="x",
        parity="odd",
        pieces=_KINK,
    ),
    Function("max", None, lambda *xs: sympy.Max(*xs, evaluate=False), sympy.Max, "", ("Max", "maximum", "max_n")),
    Function("min", None, lambda *xs: sympy.Min(*xs, evaluate=False), sympy.Min, "", ("Min", "minimum", "min_n")),
    Function(
        "sqrt",
        1,
        lambda x: power(x, sympy.Rational(1, 2)),
        derivative="1/(2*sqrt(x))",
        domain="x >= 0",
        sign="abs(x)",
    ),
    # Named functions with a head of their own, so that back ends can be exact about them.
    _defined("expm1", "exp(x) - 1", derivative="exp(x)", sign="x", exponential=True),
    _defined("log1p", "log(1 + x)", derivative="1/(1 + x)", domain="x + 1 > 0", sign="x"),
    _defined(
        "sigmoid",
        "1/(1 + exp(-x))",
        ("expit", "logistic"),
        derivative="sigmoid(x)*sigmoid(-x)",
        sign="1",
        exponential=True,
    ),
    _defined(
        "logsigmoid", "-log(1 + exp(-x))", ("log_sigmoid",), derivative="sigmoid(-x)", sign="-1", exponential=True
    ),
    _defined("softplus", "log(1 + exp(x))", derivative="sigmoid(x)", sign="1", exponential=True),
    _defined("relu", "max(x, 0)", derivative="heaviside(x)", sign="max(x, 0)", pieces=_KINK, flat=True),
    _defined(
        "elu",
        "where(x > 0, x, exp(x) - 1)",
        derivative="where(x > 0, 1, exp(x))",
        sign="x",
        pieces=_KINK,
        exponential=True,
    ),
    _defined(
        "selu",
        f"{SELU_SCALE}*where(x > 0, x, {SELU_ALPHA}*(exp(x) - 1))",
        derivative=f"{SELU_SCALE}*where(x > 0, 1, {SELU_ALPHA}*exp(x))",
        sign="x",
        pieces=_KINK,
        exponential=True,
    ),
    _defined(
        "swish",
        "x/(1 + exp(-x))",
        ("silu",),
        derivative="sigmoid(x) + x*sigmoid(x)*sigmoid(-x)",
        sign="x",
        exponential=True,
    ),
    _defined(
        "gelu",
        "x*erfc(-x/sqrt(2))/2",
        derivative="ndtr(x) + x*exp(-x**2/2)/sqrt(2*pi)",
        sign="x",
        exponential=True,
    ),
    _defined("mish", "x*tanh(softplus(x))", sign="x", exponential=True),
    _defined("softsign", "x/(abs(x) + 1)", sign="x", parity="odd", pieces=_KINK),
    _defined("hardsigmoid", "max(0, min(1, x/6 + 1/2))", sign="max(x + 3, 0)", pieces=("x + 3", "x - 3"), flat=True),
    _defined(
        "hard_sigmoid", "max(0, min(1, 0.2*x + 0.5))", sign="max(x + 5/2, 0)", pieces=("x + 5/2", "x - 5/2"), flat=True
    ),
    _defined(
        "hardswish",
        "x*max(0, min(1, x/6 + 1/2))",
        ("hard_swish",),
        sign="x*max(x + 3, 0)",
        pieces=("x + 3", "x - 3"),
        flat=True,
    ),
    _defined("erfcx", "exp(x**2)*erfc(x)", derivative="2*x*erfcx(x) - 2/sqrt(pi)", sign="1", exponential=True),
    _defined("ndtr", "erfc(-x/sqrt(2))/2", derivative="1/sqrt(2*pi)*exp(-x**2/2)", sign="1", exponential=True),
    _defined(
        "log_ndtr",
        "log(erfc(-x/sqrt(2))/2)",
        derivative="exp(-x**2/2)/sqrt(2*pi)/ndtr(x)",
        sign="-1",
        exponential=True,
    ),
    _defined(
        "logcosh",
        "log(cosh(x))",
        ("log_cosh",),
        derivative="tanh(x)",
        sign="abs(x)",
        parity="even",
        exponential=True,
    ),
    _defined(
        "sinc",
        "where(x == 0, 1, sin(x)/x)",
        derivative="where(x == 0, 0, (cos(x) - sinc(x))/x)",
        parity="even",
    ),
    _defined(
        "heaviside",
        "where(x > 0, 1, 0)",
        ("Heaviside",),
        derivative="0",
        sign="max(x, 0)",
        pieces=_KINK,
        flat=True,
    ),
    # Inverse and reciprocal functions, walked through definitions that keep their digits everywhere.
    _defined(
        "asin", "2*atan(x/(1 + sqrt((1 - x)*(1 + x))))", ("arcsin",), domain="1 - x**2 >= 0", sign="x", parity="odd"
    ),
    _defined("acos", "2*atan(sqrt((1 - x)/(1 + x)))", ("arccos",), domain="1 - x**2 >= 0", sign="1 - x"),
    _defined("acosh", "log1p(x - 1 + sqrt(x - 1)*sqrt(x + 1))", ("arccosh",), domain="x - 1 >= 0", sign="x - 1"),
    _defined("atanh", "(log1p(x) - log1p(-x))/2", ("arctanh",), domain="1 - x**2 > 0", sign="x", parity="odd"),
    _defined("sech", "1/cosh(x)", sign="1", parity="even", exponential=True),
    _defined("csch", "1/sinh(x)", domain="x != 0", sign="x", parity="odd"),
    _defined("coth", "1/tanh(x)", domain="x != 0", sign="x", parity="odd"),
    _defined("exp2", "2**x", sign="1", exponential=True),
    _defined("log2", "log(x)/log(2)", domain="x > 0", sign="x - 1"),
    _defined("log10", "log(x)/log(10)", domain="x > 0", sign="x - 1"),
    _defined("cbrt", "sign(x)*abs(x)**(1/3)", sign="x", parity="odd", pieces=_KINK),
    # round and frac are PyTorch's: a half goes to the even neighbour, and a fraction has the sign of its number.
    _defined(
        "round",
        "floor(x) + where(x - floor(x) > 1/2, 1, where(x - floor(x) < 1/2, 0, floor(x) - 2*floor(floor(x)/2)))",
        parity="odd",
        pieces=("cos(pi*x)",),
        flat=True,
    ),
    _defined("frac", "x - sign(x)*floor(abs(x))", parity="odd", pieces=("where(abs(x) < 1, 1, sin(pi*x))",)),
    _defined("ceil", "-floor(-x)", ("ceiling",), pieces=("sin(pi*x)",), flat=True),
    _defined("trunc", "sign(x)*floor(abs(x))", parity="odd", pieces=("where(abs(x) < 1, 1, sin(pi*x))",), flat=True),
    # No formula says its derivative, the digamma function; kernels differentiate the series that they compute.
    _elementary("lgamma", "", aliases=("gammaln", "loggamma"), domain="sin(pi*min(x, 1/2)) != 0"),
    # Its sign left of 0 is that of (-1)**floor(x).
    _defined(
        "gamma",
        "where(x > 0, 1, 1 - 2*(floor(x) - 2*floor(floor(x)/2)))*exp(lgamma(x))",
        ("Gamma",),
        domain="sin(pi*min(x, 1/2)) != 0",
    ),
    # Shorter ways to write a formula, among them the operator names of AQuaSurF.
    _macro("leakyrelu", 1, "where(x > 0, x, 0.01*x)", ("leaky_relu",)),
    # With PyTorch's default constants.
    _macro("relu6", 1, "min(max(x, 0), 6)"),
    _macro("celu", 1, "elu(x)"),
    _macro("hardtanh", 1, "min(max(x, -1), 1)", ("hard_tanh",)),
    _macro("softshrink", 1, "where(abs(x) <= 1/2, 0, x - sign(x)/2)", ("soft_shrink",)),
    _macro("hardshrink", 1, "where(abs(x) <= 1/2, 0, x)", ("hard_shrink",)),
    _macro("tanhshrink", 1, "x - tanh(x)", ("tanh_shrink",)),
    _macro("threshold", 3, "where(x <= a, b, x)"),
    _macro("clip", 3, "min(max(x, a), b)", ("clamp",)),
    # The stable of two ways to write it: (x + sqrt(x**2 + 4))/2 (Barron 2021, arXiv:2112.11687).
    _macro("squareplus", 1, "where(x > 0, (x + sqrt(x**2 + 4))/2, 2/(sqrt(x**2 + 4) - x))"),
    _macro("quick_gelu", 1, "x*sigmoid(1.702*x)"),
    # Hendrycks & Gimpel 2016 (arXiv:1606.08415).
    _macro("gelu_tanh", 1, "x/2*(1 + tanh(sqrt(2/pi)*(x + 0.044715*x**3)))"),
    # Basirat & Roth 2018 (arXiv:1808.00783).
    _macro("elish", 1, "elu(x)*sigmoid(x)"),
    _macro("hardelish", 1, "elu(x)*max(0, min(1, (x + 1)/2))", ("hard_elish",)),
    _macro("logaddexp", 2, "where(a > b, a + softplus(b - a), b + softplus(a - b))"),
    # The remainder has the sign of the divisor, as in Python and torch.remainder; that of fmod has the dividend's.
    _macro("mod", 2, "a - b*floor(a/b)", ("remainder",)),
    _macro("fmod", 2, "a - b*trunc(a/b)"),
    _macro("hypot", 2, "sqrt(a**2 + b**2)"),
    _macro("i0", 1, "i0e(x)*exp(abs(x))", ("bessel_i0",)),
    _macro("i1", 1, "i1e(x)*exp(abs(x))", ("bessel_i1",)),
    _macro("zero", 1, "0"),
    _macro("one", 1, "1"),
    _macro("identity", 1, "x"),
    _macro("negative", 1, "-x"),
    _macro("reciprocal", 1, "1/x"),
    _macro("square", 1, "x**2"),
    Function("add", None, add, None, "", ("sum_n",)),
    Function("mul", None, mul, None, "", ("prod_n",)),
    _macro("sub", 2, "a - b"),
    _macro("div", 2, "a/b"),
    Function("pow", 2, power),
)

FUNCTIONS: dict[str, Function] = {row.name: row for row in _ROWS}
_ALIASES = {alias: row.name for row in _ROWS for alias in row.aliases}
HEADS: dict[type, Function] = {row.head: row for row in _ROWS if row.head is not None}


def find(name: str) -> Function | None:
    """The row of exactly that name or alias, or None; `where` is syntax, not a row: see `formula`."""
    return FUNCTIONS.get(_ALIASES.get(name, name))


def resolve(name: str) -> Function | None:
    """The row that a name stands for, or None: papers write `ReLU` and `HardSigmoid`."""
    return next((row for spelled in spellings(name) if (row := find(spelled)) is not None), None)


def names() -> list[str]:
    """Every accepted name and alias, sorted."""
    return sorted([*FUNCTIONS, *_ALIASES, "where"])


_RELATIONS = (
    sympy.StrictGreaterThan,
    sympy.StrictLessThan,
    sympy.GreaterThan,
    sympy.LessThan,
    sympy.Equality,
    sympy.Unequality,
)
_NODES: dict[str, Any] = {node.__name__: node for node in (sympy.Add, sympy.Mul, sympy.Pow, sympy.And, sympy.Or)}
_NODES |= {node.__name__: node for node in _RELATIONS} | {row.name: row.head for row in _ROWS if row.head is not None}
_TAGS = {node: name for name, node in _NODES.items()}
_CONSTANTS = {"pi": sympy.pi, "e": sympy.E, "true": sympy.true, "false": sympy.false}


def packed(node: Any) -> Any:
    """Unevaluated SymPy as nested tuples; SymPy's own pickles are evaluated when they are read."""
    if isinstance(node, sympy.Symbol):
        return ("symbol", node.name, bool(node.is_positive))
    if isinstance(node, sympy.Rational):
        return ("number", int(node.p), int(node.q))
    name = next((name for name, constant in _CONSTANTS.items() if node == constant), None)
    if name is not None:
        return ("constant", name)
    if isinstance(node, sympy.Piecewise):
        return ("where", *((packed(pair.args[0]), packed(pair.args[1])) for pair in node.args))
    return (_TAGS[type(node)], *map(packed, node.args))


def unpacked(document: Any) -> Any:
    """The inverse of `packed`."""
    tag, *rest = document
    if tag == "symbol":
        return sympy.Symbol(rest[0], real=True, positive=True if rest[1] else None)
    if tag == "number":
        return sympy.Rational(*rest)
    if tag == "constant":
        return _CONSTANTS[rest[0]]
    if tag == "where":
        return piecewise(*((unpacked(value), unpacked(condition)) for value, condition in rest))
    return _NODES[tag](*map(unpacked, rest), evaluate=False)
