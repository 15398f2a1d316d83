"""The core unit of Ramachandran et al.: its classes counted, and found again from the definition alone.

The second way to the classes shares no code with the first: formulas written out anew in ball arithmetic, compared
at random pairs of x and beta.
"""

from __future__ import annotations

import random

import pytest
from flint import arb, ctx

from symact.equivalence import FunctionIndex, enumerate_classes
from symact.program.loading import load_grammar

CLASSES = 4022
GRAMMAR = load_grammar("ramachandran")
KEYS, CHECKS = 14, 80


@pytest.fixture(scope="module")
def table():
    return enumerate_classes(GRAMMAR, "unit")


def test_the_unit_has_exactly_the_known_classes(table):
    assert (table.num_rows, table["representative"].to_numpy().sum()) == (6250, CLASSES)


def test_the_index_finds_the_classes_of_the_table(table):
    index = FunctionIndex(GRAMMAR)
    assert [index.add(e) for e in GRAMMAR.space("unit")] == table["class_id"].to_pylist()


UNARY = {
    "identity": lambda x, b: x,
    "negative": lambda x, b: -x,
    "abs": lambda x, b: abs(x),
    "square": lambda x, b: x * x,
    "cube": lambda x, b: x * x * x,
    "sqrt": lambda x, b: x.sqrt() if x > 0 else None,
    "scale": lambda x, b: b * x,
    "shift": lambda x, b: x + b,
    "log_abs": lambda x, b: (abs(x) + _eps()).log(),
    "exp": lambda x, b: x.exp(),
    "sin": lambda x, b: x.sin(),
    "cos": lambda x, b: x.cos(),
    "sinh": lambda x, b: (x.exp() - (-x).exp()) / 2,
    "cosh": lambda x, b: (x.exp() + (-x).exp()) / 2,
    "tanh": lambda x, b: 1 - 2 / ((2 * x).exp() + 1),
    "asinh": lambda x, b: _odd(x, lambda y: (y + (y * y + 1).sqrt()).log()),
    "atan": lambda x, b: x.atan(),
    "sinc": lambda x, b: x.sin() / x,
    "relu": lambda x, b: x.max(arb(0)),
    "min_zero": lambda x, b: x.min(arb(0)),
    "sigmoid": lambda x, b: _sigmoid(x),
    "softplus": lambda x, b: (1 + x.exp()).log(),
    "gauss": lambda x, b: (-x * x).exp(),
    "erf": lambda x, b: x.erf(),
    "beta": lambda x, b: b,
}
BINARY = {
    "add": lambda u, v, b: u + v,
    "mul": lambda u, v, b: u * v,
    "sub": lambda u, v, b: u - v,
    "div": lambda u, v, b: u / (v + _eps()),
    "max": lambda u, v, b: u.max(v),
    "min": lambda u, v, b: u.min(v),
    "gate": lambda u, v, b: _sigmoid(u) * v,
    "rbf": lambda u, v, b: (-b * (u - v) * (u - v)).exp(),
    "laplace": lambda u, v, b: (-b * abs(u - v)).exp(),
    "blend": lambda u, v, b: b * u + (1 - b) * v,
}


def _eps() -> arb:
    return arb(1) / 10**7


def _sigmoid(x: arb) -> arb:
    return 1 / (1 + (-x).exp())


def _odd(x: arb, function) -> arb:
    return function(x) if x > 0 else -function(-x)


def _points(count: int) -> list[tuple[arb, arb]]:
    """Random (x, beta) in [-5, 5] x [-3, 3]; the first eight are in all four quadrants."""
    generator = random.Random(12345)
    found = []
    for number in range(count):
        x, b = (arb(generator.randrange(1, 10**9)) / (10**9 + 7) * size for size in (5, 3))
        right, up = (number % 2, number // 2 % 2) if number < 8 else (generator.randrange(2), generator.randrange(2))
        found.append((x if right else -x, b if up else -b))
    return found


def _key(value: arb | None) -> str:
    if value is None:
        return "undefined"
    if abs(value) < arb(10) ** -60:
        return "0"
    assert value.rel_accuracy_bits() > 150
    return value.str(30, radius=False)


def _same(first: arb | None, second: arb | None) -> bool:
    return first is second if first is None or second is None else bool(first.overlaps(second))


def classes_by_definition() -> list[list[str]]:
    """Expressions grouped by their values; those of one group agree at all points, those of two differ somewhere."""
    points = _points(KEYS + CHECKS)
    inner = [{name: function(x, b) for name, function in UNARY.items()} for x, b in points]

    def values(operator: str, first: str, second: str, numbers: range) -> list[arb | None]:
        pairs = ((inner[n][first], inner[n][second], points[n][1]) for n in numbers)
        return [None if u is None or v is None else BINARY[operator](u, v, b) for u, v, b in pairs]

    groups: dict[tuple, list[tuple[str, str, str]]] = {}
    for expression in ((o, u, v) for o in BINARY for u in UNARY for v in UNARY):
        key = tuple(map(_key, values(*expression, range(KEYS))))
        groups.setdefault(key, []).append(expression)
    found = []
    for group in groups.values():
        parts: list[tuple[list, list[str]]] = []
        for expression in group:
            own = values(*expression, range(KEYS, KEYS + CHECKS)) if len(group) > 1 else []
            text = "{}({}(x),{}(x))".format(*expression)
            for other, members in parts:
                if all(map(_same, own, other)):
                    members.append(text)
                    break
            else:
                parts.append((own, [text]))
        found += [members for _, members in parts]
    return found


@pytest.mark.slow
def test_classes_by_the_definition_alone_are_the_classes_of_the_table(table):
    before, ctx.prec = ctx.prec, 500
    try:
        classes = classes_by_definition()
    finally:
        ctx.prec = before
    known = dict(zip(table["expression"].to_pylist(), table["class_id"].to_pylist(), strict=True))
    assert len(classes) == CLASSES
    assert sorted(known) == sorted(text for members in classes for text in members)
    assert not [members for members in classes if len({known[text] for text in members}) > 1]
