"""Ball comparison: what it calls different is different, what it calls equal agrees in every bit."""

from __future__ import annotations

import numpy as np
import pytest

from symact.equivalence.exact import balls, comparison
from symact.equivalence.exact.comparison import BallComparison
from symact.equivalence.numeric.fingerprints import fingerprint, project_block
from symact.equivalence.numeric.samples import PER_BLOCK, SampleGrid, sample_points
from symact.equivalence.terms import Term, TermGraph, numbered_slots
from symact.expr.tree import parse
from symact.program.loading import load_grammar, parse_grammar

AQUASURF = load_grammar("aquasurf")
X = sample_points(-5.0, 5.0)


class Setting:
    """A graph with its sample points and balls."""

    def __init__(self) -> None:
        self.graph = TermGraph()
        self.grid = SampleGrid(self.graph, X)
        self.comparison = BallComparison(self.graph, X)

    def term(self, text: str) -> Term:
        expression = parse(text, AQUASURF)
        return self.graph.term(self.graph.term_of(expression, numbered_slots(expression.parameters)))

    def same(self, first: str, second: str, points=range(0, 64, 7)) -> bool | None:
        reference = self.comparison.reference(self.term(first))
        return self.comparison.same(reference, self.term(second), [(self.grid, point) for point in points])


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("cosh(x)", "exp(x) - sinh(x)", True),
        ("tanh(exp(exp(x)))", "1", False),
        ("sinh(exp(exp(x)))", "cosh(exp(exp(x)))", False),
        ("log(exp(exp(exp(x))))", "exp(exp(x))", True),
        ("x + 2**-60", "x", False),
        ("log(-1 - x*x)", "x/0", True),
        ("sqrt(x)**2", "x", False),
        ("sigmoid(x) + sigmoid(-x)", "1", True),
    ],
)
def test_it_decides_what_float64_cannot(first, second, same):
    assert Setting().same(first, second) is same


def test_where_nothing_can_be_decided_there_is_no_answer():
    assert Setting().same("tanh(x)", "erf(x)", points=[]) is None


def test_a_reference_is_compared_with_references_and_terms_alike():
    setting = Setting()
    first, second = (setting.comparison.reference(setting.term(text)) for text in ("erfc(x)", "1 - erf(x)"))
    points = [(setting.grid, point) for point in (3, 40)]
    assert setting.comparison.same(first, second, points) is True
    assert setting.comparison.same(second, setting.term("erfc(x)"), points) is True


@pytest.mark.parametrize(
    ("text", "undefined"),
    [("sqrt(x)", lambda x: x < 0), ("log(tanh(20 + x) - 1)", lambda x: x == x), ("1/x", lambda x: x != x)],
)
def test_it_says_where_a_term_is_undefined(text, undefined):
    setting = Setting()
    found = [setting.comparison.undefined(setting.term(text), setting.grid, point) for point in range(0, 64, 9)]
    assert found == undefined(X[::9]).tolist()


def test_a_number_that_tells_values_apart_is_that_of_the_fingerprints():
    setting = Setting()
    text = "add(tanh(x),negative(exp(x)))"
    number = setting.graph.term_of(parse(text, AQUASURF), {})
    setting.grid.extend()
    own = fingerprint(setting.grid.values[number : number + 1], setting.grid.bounds)
    for block in (0, 5):
        points = range(block * PER_BLOCK, (block + 1) * PER_BLOCK)
        features = [setting.comparison.approximate(setting.graph.term(number), setting.grid, point) for point in points]
        assert project_block(np.array(features), block) == pytest.approx(own.projections[0, block], abs=1e-11)


def test_terms_are_cut_into_parts_whose_values_lie_apart():
    setting = Setting()
    texts = ["x", "sqrt(x)", "tanh(x)", "x + 0*x", "log(x)", "tanh(x)*cos(x - x)", "(-1-x*x)**(sin(x)**2+cos(x)**2)"]
    parts, unknown = setting.comparison.cut([setting.term(text) for text in texts], setting.grid, 3)
    assert sorted(map(sorted, parts)) == [[0, 3], [1, 4], [2, 5]]
    assert unknown == [6]


def test_a_parameter_has_its_value_at_the_point():
    setting = Setting()
    grammar = parse_grammar(
        'name = "g"\n[parameters]\nbeta = { init = 1.0 }\n[unary]\nscale = "beta*x"\n[spaces]\nall = ["unary(x)"]\n'
    )
    expression = parse("scale(x)", grammar)
    slots = numbered_slots(expression.parameters)
    term = setting.graph.term(setting.graph.term_of(expression, slots))
    with balls.precision(640):
        found = float(setting.comparison.value(term, setting.grid, 10, 640))
    assert found == pytest.approx(setting.grid.parameter(slots["beta"])[0, 10] * X[10], rel=1e-14)


def test_balls_that_are_let_go_are_computed_again(monkeypatch):
    monkeypatch.setattr(comparison, "_CACHED", 3)
    setting = Setting()
    for _ in range(3):
        assert setting.same("add(tanh(x),sinh(x))", "add(sinh(x),tanh(x))") is True
        assert setting.same("add(tanh(x),sinh(x))", "sub(sinh(x),tanh(x))") is False
