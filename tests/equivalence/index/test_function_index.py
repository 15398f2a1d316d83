"""`FunctionIndex`: what is new, what is known, by what evidence; many at once; parameters that may be exchanged."""

from __future__ import annotations

import numpy as np
import pytest

from symact.equivalence import FunctionIndex, enumerate_classes
from symact.equivalence.engine.classes import CERTIFIED, NUMERIC, PROVED
from symact.expr.tree import Expr, parse
from symact.program.loading import load_grammar, parse_grammar

AQUASURF, PANGAEA, RAMACHANDRAN = (load_grammar(name) for name in ("aquasurf", "pangaea", "ramachandran"))


def same(grammar, first: str, second: str) -> bool:
    index = FunctionIndex(grammar)
    return index.add(parse(first, grammar)) == index.add(parse(second, grammar))


class TestEvidence:
    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ("cosh(x)", "exp(x) - sinh(x)"),
            ("erfc(x)", "1 - erf(x)"),
            ("max(relu(x),zero(x))", "relu(x)"),
            ("swish(x)", "x - x*sigmoid(-x)"),
            ("tanh(x)", "sinh(x)/cosh(x)"),
            ("sqrt(x*x)", "max(x, -x)"),
        ],
    )
    def test_what_the_rules_merge_is_proved(self, first, second):
        index = FunctionIndex(AQUASURF)
        assert index.add(parse(first, AQUASURF)) == index.add(parse(second, AQUASURF)) == 0
        assert index.evidence().tolist() == [PROVED]

    def test_what_only_balls_merge_is_certified(self):
        index = FunctionIndex(AQUASURF)
        assert index.add(parse("max(cosh(x), tanh(x))", AQUASURF)) == index.add(parse("cosh(x)", AQUASURF))
        assert index.evidence().tolist() == [CERTIFIED]

    def test_without_certification_all_is_numeric(self):
        index = FunctionIndex(AQUASURF, "sampled")
        assert index.add(parse("cosh(x)", AQUASURF)) == index.add(parse("exp(x) - sinh(x)", AQUASURF))
        assert index.evidence().tolist() == [NUMERIC]


class TestManyAtOnce:
    def distinct(self, count: int) -> list[Expr]:
        table = enumerate_classes(AQUASURF, "bench")
        chosen = set(np.flatnonzero(table["representative"].to_numpy())[:count].tolist())
        return [e for number, e in enumerate(AQUASURF.space("bench")) if number in chosen]

    def test_different_functions_get_the_numbers_that_they_would_get_one_by_one(self):
        expressions = self.distinct(400)
        index, other = FunctionIndex(AQUASURF), FunctionIndex(AQUASURF)
        assert index.add_different(expressions) == [other.add(e) for e in expressions] == list(range(400))
        assert index.add_different(expressions) == list(range(400))

    def test_what_was_loaded_is_found_also_when_written_differently(self):
        expressions = self.distinct(400)
        index, other = FunctionIndex(AQUASURF), FunctionIndex(AQUASURF)
        index.add_different(expressions)
        for expression in expressions:
            other.add(expression)
        generator = np.random.default_rng(5)
        asked = [AQUASURF.space("bench").sample(generator) for _ in range(600)]
        assert [index.find(e) for e in asked] == [other.find(e) for e in asked]
        known = [number for number in map(index.find, asked) if number is not None]
        assert len(known) > 50

    def test_known_expressions_keep_their_numbers(self):
        index = FunctionIndex(AQUASURF)
        first, second = parse("relu(x)", AQUASURF), parse("tanh(x)", AQUASURF)
        assert index.add(second) == 0
        assert index.add_different([first, second]) == [1, 0]

    def test_learnable_parameters_load_too(self):
        texts = [
            "scale(x)",
            "max(scale(x),scale(x))",
            "scale(scale(x))",
            "add(scale(x),scale(tanh(x)))",
            "tanh(scale(x))",
        ]
        expressions = [parse(text, PANGAEA) for text in texts]
        index = FunctionIndex(PANGAEA)
        index.add_different(expressions)
        assert index.find(parse("add(scale(tanh(x)),scale(x))", PANGAEA)) == 3
        assert index.find(parse("scale(tanh(x))", PANGAEA)) is None


class TestExchangeableParameters:
    @pytest.mark.parametrize(
        ("first", "second", "equal"),
        [
            ("add(scale(x),scale(tanh(x)))", "add(scale(tanh(x)),scale(x))", True),
            ("add(zero(scale(x)),scale(x))", "scale(x)", True),
            ("scale(x)", "add(zero(scale(x)),scale(x))", True),
            ("mul(zero(x),scale(x))", "zero(x)", True),
            ("add(scale(x),mul(zero(x),scale(x)))", "scale(x)", True),
            ("sub(scale(x),scale(exp(x)))", "sub(scale(exp(x)),scale(x))", False),
            ("max(scale(x),scale(x))", "scale(x)", False),
            ("scale(scale(x))", "scale(x)", False),
            ("scale(scale(x))", "mul(scale(x),scale(x))", False),
            (
                "max(scale(x),max(scale(tanh(x)),scale(exp(x))))",
                "max(max(scale(exp(x)),scale(x)),scale(tanh(x)))",
                True,
            ),
        ],
    )
    def test_renaming_makes_no_function_and_everything_else_does(self, first, second, equal):
        assert same(PANGAEA, first, second) is equal

    def test_parameters_of_different_kinds_are_not_exchanged(self):
        grammar = parse_grammar(
            'name = "two"\n[parameters]\np = { init = 1.0 }\nq = { init = 2.0 }\nr = { init = 1.0 }\n'
            '[unary]\nid = "x"\n'
            '[spaces]\nall = ["unary(x)"]\n'
        )
        assert same(grammar, "p*x + q*tanh(x)", "q*tanh(x) + p*x")
        assert not same(grammar, "p*x + q*tanh(x)", "q*x + p*tanh(x)")
        assert same(grammar, "p*x + r*tanh(x)", "r*x + p*tanh(x)")


class TestDomains:
    @pytest.mark.parametrize(
        ("text", "domain"),
        [
            ("sqrt(x - 4.99)", "partly"),
            ("log(4.998 - abs(x))", "partly"),
            ("log(1 - tanh(20 + x))", "everywhere"),
            ("log(tanh(20 + x) - 1)", "nowhere"),
            ("1/where(x > 3.2 and x < 3.3, 0, 1)", "partly"),
            ("1/where(x > 1.70001 and x < 1.70002, 0, 1)", "partly"),
            ("log(x)/log(-x)", "nowhere"),
            ("1/x", "everywhere"),
            ("1/sin(1/x)", "everywhere"),
            ("where(x > 0, log(x), 1)", "everywhere"),
            ("where(x > 0, 1, log(x))", "partly"),
            ("exp(exp(exp(exp(x))))", "everywhere"),
            ("(-x*x)**(1/3)", "nowhere"),
            ("relu(x)**-1", "partly"),
            ("0/(x - x)", "nowhere"),
            ("log(exp(-exp(exp(x))))", "everywhere"),
        ],
    )
    def test_domains_are_told_where_float64_or_sampling_would_not(self, text, domain):
        assert FunctionIndex(AQUASURF).domain(parse(text)) == domain


class TestComparison:
    def test_what_differs_in_a_narrow_piece_alone_is_another_function(self):
        # Its quotient is a/(b + 1e-7): smaller than sigmoid for |x| < 0.0004, where no point of the grids is.
        grammar = load_grammar("ramachandran")
        index = FunctionIndex(grammar)
        first = index.add(parse("min(sigmoid(x),sinh(add(softplus(x),gauss(x))))", grammar))
        assert index.add(parse("sigmoid(x)", grammar)) == first
        assert index.add(parse("min(identity(div(sigmoid(x),gauss(x))),sigmoid(x))", grammar)) != first


class TestMemory:
    def test_an_index_that_forgets_structure_still_knows_its_functions(self):
        index = FunctionIndex(AQUASURF)
        texts = ["relu(x)", "tanh(x)", "max(tanh(x),x)"]
        numbers = [index.add(parse(text, AQUASURF)) for text in texts]
        index.forget()
        assert [index.find(parse(text, AQUASURF)) for text in ("max(x,tanh(x))", "max(x,zero(x))")] == [numbers[2], 0]
