"""An exponent that only rounding makes an integer is none: a power of a negative number with it is undefined."""

from __future__ import annotations

import itertools

import pytest

from symact.equivalence import FunctionIndex, enumerate_classes
from symact.expr.tree import parse
from symact.program.loading import load_grammar, parse_grammar

AQUASURF = load_grammar("aquasurf")
NOWHERE = parse("x/0")
# Each is at least 40,000 bits from what it approaches somewhere between -5 and 5, but for softsign.
LARGE = ("1/x", "exp(exp(x))", "-exp(exp(x) - 2*x)", "x**2*exp(exp(exp(x)))")
SATURATING = (
    "erf({})",
    "tanh({})",
    "erfc({})",
    "sigmoid({})",
    "ndtr({})",
    "{0}/(1 + abs({0}))",
    "2*sigmoid({}) - 1",
    "3 - erf({})",
    "exp(-abs({}))",
    "-log1p(exp(-abs({})))",
    "elu(-abs({}))",
    "tanh({})*erf({})",
    "abs(tanh({}))",
    "max(tanh({}), -2)",
)
NEGATIVE = ("logsigmoid(x)", "-1 - x*x", "-exp(x)")


@pytest.fixture(scope="module")
def index():
    found = FunctionIndex(AQUASURF)
    assert found.add(NOWHERE) == 0
    return found


@pytest.mark.parametrize("saturating", SATURATING)
def test_a_power_of_a_negative_number_is_nowhere_defined(index, saturating):
    for large, base in itertools.product(LARGE, NEGATIVE):
        power = parse(f"({base})**({saturating.format(large, large)})")
        assert index.domain(power) == "nowhere", power
        assert index.add(power) == 0, power


@pytest.mark.parametrize("saturating", SATURATING[:6])
def test_a_power_of_what_is_partly_negative_is_partly_defined(index, saturating):
    for large in LARGE[:2]:
        power = parse(f"(x + 1)**({saturating.format(large, large)})")
        assert index.domain(power) == "partly", power
        assert index.add(power) == index.add(parse(f"exp(log(x + 1)*({saturating.format(large, large)}))")), power


@pytest.mark.parametrize("outer", ["exp({})", "max({}, x)", "{} + x", "where(x > 0, {}, {})"])
def test_what_is_made_of_such_a_power_is_nowhere_defined(index, outer):
    power = outer.format("(-1 - x*x)**erf(1/x)", "logsigmoid(x)**tanh(exp(exp(x)))")
    assert index.domain(parse(power)) == "nowhere"
    assert index.add(parse(power)) == 0


@pytest.mark.parametrize(
    "exponent",
    [
        "cosh(x)**2 - sinh(x)**2",
        "sin(x)**2 + cos(x)**2",
        "erf(1/x)/erf(1/x)",
        "2*tanh(exp(x))/tanh(exp(x))",
        "sigmoid(exp(x)) + sigmoid(-exp(x)) - log(exp(2*x))/x",
        "erf(1/x)**2 + 2*erf(1/x)*erfc(1/x) + erfc(1/x)**2",
        "heaviside(x)",
        "sign(x) + 1",
        "max(erf(1/x), 1)",
    ],
)
def test_an_exponent_that_is_an_integer_stays_one_however_it_is_written(index, exponent):
    for base in NEGATIVE[:2]:
        power = parse(f"({base})**({exponent})")
        assert index.domain(power) == "everywhere", power
        assert index.find(power) != 0, power


@pytest.mark.parametrize(
    ("exponent", "power"),
    [
        ("heaviside(x)", "where(x > 0, -1 - x*x, 1)"),
        ("sign(x) + 1", "where(x > 0, (1 + x*x)**2, 1)"),
        ("max(erf(1/x), 1)", "-1 - x*x"),
    ],
)
def test_a_power_with_an_integer_is_what_it_was(index, exponent, power):
    assert index.add(parse(f"(-1 - x*x)**({exponent})")) == index.add(parse(power))


def test_an_exponent_that_is_an_integer_on_one_piece_only_is_one_there(index):
    found = parse("(-1 - x*x)**where(x > 0, cosh(x)**2 - sinh(x)**2, erf(1/x))")
    assert index.domain(found) == "partly"
    assert index.find(found) != 0


def test_a_table_knows_them_too():
    unary = "\n".join(
        f'{name} = "{formula}"'
        for name, formula in {
            "zero": "0",
            "id": "x",
            "neg": "-exp(x)",
            "low": "logsigmoid(x)",
            "erf": "erf(1/x)",
            "tanh": "tanh(exp(exp(x)))",
            "one": "1",
        }.items()
    )
    grammar = parse_grammar(
        f'name = "g"\n[unary]\n{unary}\n[binary]\npow = "a**b"\ndiv = "a/b"\n'
        '[spaces]\nall = ["binary(unary(x),unary(x))"]\n'
        "[identity]\ninterval = [-5, 5]\n"
    )
    table = enumerate_classes(grammar, "all")
    found = dict(zip(table["expression"].to_pylist(), table["class_id"].to_pylist(), strict=True))
    where = dict(zip(table["expression"].to_pylist(), table["domain"].to_pylist(), strict=True))
    for base, exponent in itertools.product(("neg", "low"), ("erf", "tanh")):
        expression = f"pow({base}(x),{exponent}(x))"
        assert found[expression] == found["div(one(x),zero(x))"]
        assert where[expression] == "nowhere"
    assert where["pow(id(x),erf(x))"] == "partly"
    assert found["pow(neg(x),one(x))"] != found["div(one(x),zero(x))"]


def test_tiny_exponents_are_never_written_out(index):
    for large in ("exp(exp(x))", "exp(exp(exp(x)))"):
        assert index.domain(parse(f"(-1 - x*x)**erfc({large})")) == "nowhere"
        assert index.domain(parse(f"(-1 - x*x)**exp(-{large})")) == "nowhere"
