"""Canonical forms: shared by rewritings, kept apart by domains, right in value and slope, and always bounded."""

from __future__ import annotations

import random

import mpmath
import pytest
import sympy
from hypothesis import example, given, settings
from hypothesis import strategies as st

from symact.errors import FormulaError
from symact.expr.display import canonical, latex
from symact.expr.functions import FUNCTIONS
from symact.expr.grammar import Grammar
from symact.expr.operators import Operator
from symact.expr.tree import Expr, parse, to_sympy
from symact.program.loading import load_grammar, shipped
from tests.equivalence.high_precision import value

SAME = [
    ("swish(x)", "x*sigmoid(x)"),
    ("x*(1 + exp(x))", "exp(x)*x + x"),
    ("(x + 1)*(x - 1)", "x**2 - 1"),
    ("softplus(x) - x", "log(1 + exp(x)) - x"),
    ("gelu(x)", "x*ndtr(x)"),
    ("max(x, max(0, 1))", "max(1, x)"),
    ("relu(x)", "max(0, x)"),
    ("exp(x)*exp(-x)", "1"),
    ("abs(-2*x)", "2*abs(x)"),
    ("sqrt(x**2)", "abs(x)"),
    ("x/x", "1"),
    ("exp(log(x))", "sqrt(x)**2"),
    ("log(x) - log(x)", "0*log(x)"),
    ("1/0", "sqrt(-1)"),
    ("where(0 < x, x, 0)", "where(x > 0, x, 0)"),
]
APART = [
    ("exp(log(x))", "x"),
    ("sqrt(x)**2", "x"),
    ("0*log(x)", "0"),
    ("relu(x)/relu(x)", "1"),
    ("where(x > 0, log(x), 0) + log(x) - log(x)", "where(x > 0, log(x), 0)"),
    ("log(x**2)", "2*log(x)"),
    ("hardsigmoid(x)", "hard_sigmoid(x)"),
    ("x**x*x**(-x)", "1"),
    ("max(x, 0)", "max(x, 1)"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_rewritings_share_a_form(one: str, other: str) -> None:
    assert canonical(parse(one)) == canonical(parse(other))


@pytest.mark.parametrize(("one", "other"), APART)
def test_other_functions_and_other_domains_do_not(one: str, other: str) -> None:
    assert canonical(parse(one)) != canonical(parse(other))


def test_what_evaluation_forgets_is_written_round_the_result() -> None:
    assert str(canonical(parse("exp(log(x))"))) == "Piecewise((x, x > 0))"
    assert str(canonical(parse("relu(x)/relu(x)"))) == "Piecewise((1, Ne(Max(0, x), 0)))"
    assert canonical(parse("log(-exp(x))")) is sympy.nan
    assert str(canonical(parse("where(x > 0, log(x), 0)"))) == "Piecewise((log(x), x > 0), (0, True))"


LEAVES = st.sampled_from(["x", "2", "0.5", "3", "pi"])
UNARY = ["sigmoid", "relu", "exp", "tanh", "erf", "abs", "sin", "softplus", "log", "sqrt", "elu"]


def _grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    binary = st.sampled_from(["({}+{})", "({}*{})", "({}-{})", "({}/{})", "max({},{})", "min({},{})"])
    return st.one_of(
        st.builds(lambda f, u: f"{f}({u})", st.sampled_from(UNARY), inner),
        st.builds(lambda b, u, v: b.format(u, v), binary, inner, inner),
        st.builds(lambda u, n: f"{u}**{n}", inner, st.integers(2, 3)).map(lambda t: f"({t})"),
    )


FORMULAS = st.recursive(LEAVES, _grow, max_leaves=6)


@example("sigmoid(log(relu(x)))")
@example("sigmoid(log(tanh(2)))")
@example("(x + elu(x))**2")
@settings(max_examples=150, deadline=None)
@given(FORMULAS)
def test_canonical_is_idempotent(text: str) -> None:
    form = canonical(parse(text))
    assert canonical(form) == form


@example("sigmoid(x)", "((x + 3)/3)", "x")
@example("(2 - x)", "(2*(2 - x))", "x")
@example("(elu(x)**2)", "(elu(x)**2)", "(elu(x)**2)")
@settings(max_examples=150, deadline=None)
@given(FORMULAS, FORMULAS, FORMULAS)
def test_commuting_reassociating_and_distributing_share_a_form(u: str, v: str, w: str) -> None:
    def same(one: str, other: str) -> bool:
        return bool(canonical(parse(one)) == canonical(parse(other)))

    assert same(f"{u} + {v}", f"{v} + {u}")
    assert same(f"({u})*({v})", f"({v})*({u})")
    assert same(f"({u} + {v}) + {w}", f"{u} + ({v} + {w})")
    assert same(f"max({u}, max({v}, {w}))", f"max(max({w}, {u}), {v})")


@given(st.sampled_from(["x", "sin(x)", "exp(x)"]), st.sampled_from(["x", "tanh(x)"]), st.sampled_from(["2", "cos(x)"]))
def test_distributing_shares_a_form(u: str, v: str, w: str) -> None:
    assert canonical(parse(f"{u}*({v} + {w})")) == canonical(parse(f"{u}*{w} + {v}*{u}"))
    assert canonical(parse(f"({u} + {v})**2")) == canonical(parse(f"{u}**2 + 2*{u}*{v} + {v}*{v}"))


_M = mpmath
_SELU_SCALE, _SELU_ALPHA = "1.0507009873554804934193349852946", "1.6732632423543772848170429916717"
REFERENCE = {
    "i0e": lambda x: _M.besseli(0, x) * _M.exp(-abs(x)),
    "i1e": lambda x: _M.besseli(1, x) * _M.exp(-abs(x)),
    "expm1": _M.expm1,
    "log1p": lambda x: _M.log(1 + x),
    "sigmoid": lambda x: 1 / (1 + _M.exp(-x)),
    "logsigmoid": lambda x: _M.log(1 / (1 + _M.exp(-x))),
    "softplus": lambda x: _M.log(1 + _M.exp(x)),
    "relu": lambda x: max(x, _M.mpf(0)),
    "elu": lambda x: x if x > 0 else _M.expm1(x),
    "selu": lambda x: _M.mpf(_SELU_SCALE) * (x if x > 0 else _M.mpf(_SELU_ALPHA) * _M.expm1(x)),
    "swish": lambda x: x / (1 + _M.exp(-x)),
    "gelu": lambda x: x * _M.ncdf(x),
    "mish": lambda x: x * _M.tanh(_M.log(1 + _M.exp(x))),
    "softsign": lambda x: x / (1 + abs(x)),
    "hardsigmoid": lambda x: min(max(x / 6 + _M.mpf(1) / 2, _M.mpf(0)), _M.mpf(1)),
    "hard_sigmoid": lambda x: min(max(x / 5 + _M.mpf(1) / 2, _M.mpf(0)), _M.mpf(1)),
    "hardswish": lambda x: x * min(max(x / 6 + _M.mpf(1) / 2, _M.mpf(0)), _M.mpf(1)),
    "erfcx": lambda x: _M.exp(x**2) * _M.erfc(x),
    "ndtr": _M.ncdf,
    "log_ndtr": lambda x: _M.log(_M.ncdf(x)),
    "logcosh": lambda x: _M.log(_M.cosh(x)),
    "sinc": _M.sinc,
    "exp2": lambda x: _M.mpf(2) ** x,
    "log2": lambda x: _M.log(x, 2),
    "trunc": lambda x: _M.sign(x) * _M.floor(abs(x)),
    "cbrt": lambda x: _M.sign(x) * _M.cbrt(abs(x)),
    "round": _M.nint,
    "frac": lambda x: x - _M.sign(x) * _M.floor(abs(x)),
    "lgamma": lambda x: _M.re(_M.loggamma(x)),
    "heaviside": lambda x: _M.mpf(x > 0),
    "leakyrelu": lambda x: x if x > 0 else x / 100,
    "relu6": lambda x: min(max(x, _M.mpf(0)), _M.mpf(6)),
    "celu": lambda x: x if x > 0 else _M.expm1(x),
    "hardtanh": lambda x: min(max(x, _M.mpf(-1)), _M.mpf(1)),
    "softshrink": lambda x: _M.mpf(0) if abs(x) <= 0.5 else x - _M.sign(x) / 2,
    "hardshrink": lambda x: _M.mpf(0) if abs(x) <= 0.5 else x,
    "tanhshrink": lambda x: x - _M.tanh(x),
    "squareplus": lambda x: (x + _M.sqrt(x * x + 4)) / 2,
    "quick_gelu": lambda x: x / (1 + _M.exp(-x * 1702 / 1000)),
    "gelu_tanh": lambda x: x / 2 * (1 + _M.tanh(_M.sqrt(2 / _M.pi) * (x + x**3 * 44715 / 10**6))),
    "elish": lambda x: (x if x > 0 else _M.expm1(x)) / (1 + _M.exp(-x)),
    "hardelish": lambda x: (x if x > 0 else _M.expm1(x)) * min(max((x + 1) / 2, _M.mpf(0)), _M.mpf(1)),
    "i0": lambda x: _M.besseli(0, x),
    "i1": lambda x: _M.besseli(1, x),
    "zero": lambda x: _M.mpf(0),
    "one": lambda x: _M.mpf(1),
    "identity": lambda x: x,
    "negative": lambda x: -x,
    "reciprocal": lambda x: 1 / x,
    "square": lambda x: x * x,
    "abs": abs,
    "sign": _M.sign,
    "asinh": _M.asinh,
    "atan": _M.atan,
}
POINTS = [-2.7, -0.43, 0.31, 1.9]


def _number(form: sympy.Expr, x: mpmath.mpf) -> mpmath.mpf:
    """A canonical form at a point, in mpmath; its symbols stand for nothing but x."""
    heads = {f"i{n}e": lambda u, n=n: _M.besseli(n, u) * _M.exp(-abs(u)) for n in (0, 1)}
    heads["lgamma"] = lambda u: _M.re(_M.loggamma(u))
    symbol = sympy.Symbol("x", real=True)
    return sympy.lambdify([symbol], form, modules=[heads, "mpmath"])(x)


@pytest.mark.parametrize("name", [row.name for row in FUNCTIONS.values() if row.arity == 1])
def test_every_function_has_the_value_and_slope_of_mathematics(name: str) -> None:
    reference = REFERENCE.get(name) or getattr(mpmath, name)
    form = canonical(parse(f"{name}(x)"))
    with mpmath.workdps(40):
        for point in POINTS:
            x = mpmath.mpf(point)
            if value(to_sympy(parse(f"{name}(x)")), {"x": x}) is None:
                continue
            assert mpmath.almosteq(_number(form, x), reference(x), 1e-25, 1e-25)
            if not form.has(sympy.Function("i0e")) and name not in ("i0e", "i1e"):
                slope = mpmath.diff(lambda u: _number(form, u), x)
                assert mpmath.almosteq(slope, mpmath.diff(reference, x), 1e-12, 1e-12)


def _operators() -> dict[tuple[object, ...], tuple[Grammar, Operator]]:
    """Every formula of the shipped grammars once, with its grammar."""
    grammars = map(load_grammar, shipped())
    pairs = [(g, o) for g in grammars for o in g.operators.values() if o.kind == "unary"]
    return {(o.formula, o.parameters): (g, o) for g, o in pairs if all(p.share for p in o.parameters)}


@pytest.mark.parametrize(("grammar", "operator"), _operators().values(), ids=lambda value: value.name)
def test_an_operator_and_its_formula_share_a_form(grammar: Grammar, operator: Operator) -> None:
    assert canonical(parse(f"{operator.name}(x)", grammar)) == canonical(parse(operator.text, grammar))


HOSTILE = [
    "2**10**10",
    "x + 2**10**10",
    "x**(10**9)",
    "(1 + x)**1000000",
    "(2*x)**(10**9)",
    "exp(exp(exp(exp(100))))*x + sin(exp(exp(exp(100))))",
    "max(exp(exp(exp(100))), exp(exp(exp(99))))",
    "sinh(sinh(sinh(sinh(9)))) - x",
    "exp(10**9*log(2*x)) + exp(log(2)*10**9)",
    "sqrt(2)**(10**10) + pi**(10**12)",
    "mish(" * 60 + "x" + ")" * 60,
    "leakyrelu(" * 8 + "x" + ")" * 8,
    "*".join(f"(x + {i})" for i in range(200)),
    "max(" + ",".join(f"x*{i}" for i in range(1_000)) + ")",
    "+".join(f"sin({i}*x)" for i in range(200)),
    "1/(1 + " * 45 + "x" + ")" * 45,
    "1e308*" * 30 + "x",
    "(" + "+".join(f"x**{i}" for i in range(60)) + ")**9",
    "tanh(exp(selu(logsigmoid(0/1))*min(max(1 + 0, 1**0), i1e(1 + 0))))*x",
    "log(max(i0e(i0e(1)/i0e(0)), max(min(0, 1), -1)))*min(sigmoid(swish(0)), sin(1))",
    "selu(selu(elu(x)))**2",
]


@pytest.mark.parametrize("seed", range(4))
def test_random_constants_have_a_form_that_prints(seed: int) -> None:
    grammar = load_grammar("aquasurf")
    draw = random.Random(seed)
    unary, binary = ([o.name for o in grammar.of_kind(kind)] for kind in ("unary", "binary"))

    def constant(depth: int) -> str:
        if depth == 0:
            return draw.choice(["one(x)", "zero(x)"])
        if draw.random() < 0.5:
            return f"{draw.choice(unary)}({constant(depth - 1)})"
        return f"{draw.choice(binary)}({constant(depth - 1)},{constant(depth - 1)})"

    for _ in range(100):
        expr = parse(constant(draw.randint(3, 7)), grammar)
        assert str(canonical(expr))
        assert latex(expr)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_expressions_have_a_form_that_prints(text: str) -> None:
    expr = parse(text)
    form = canonical(expr)
    assert str(form)
    assert canonical(form) == form
    assert latex(expr)


@pytest.mark.timeout(20)
def test_deep_trees_of_operators_keep_their_own_names() -> None:
    grammar = load_grammar("first")
    expr: Expr = parse("elu(" * 60 + "x" + ")" * 60, grammar)
    assert str(canonical(expr)) == str(expr)
    with pytest.raises(FormulaError, match="50,000 parts"):
        parse("0 + " + "elu(" * 60 + "x" + ")" * 60, grammar)


def test_latex_is_what_a_person_would_write() -> None:
    assert latex(parse("x*sigmoid(x)")) == r"x \operatorname{sigmoid}\left(x\right)"
    assert latex(parse("mul(identity(x),sigmoid(x))", load_grammar("aquasurf"))) == latex(parse("x*sigmoid(x)"))
    assert latex(parse("exp(log(x))")) == r"e^{\log{\left(x \right)}}"
    assert latex(parse("x**2/2")) == r"\frac{x^{2}}{2}"


@pytest.mark.parametrize(
    "text",
    [
        "tanh(sign(100))",
        "sign(-1)*x",
        "0.5/where(-1 > pi, e, 2)",
        "where(0.5 >= e, x, pi)**erf(1e-7)",
        "where(1/0 > x, 1, x)",
    ],
)
def test_signs_and_choices_of_constants_have_a_form(text: str) -> None:
    assert canonical(parse(text)) is not None
