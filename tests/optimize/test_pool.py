"""The functions of a space: listed once, keyed by identity, drawn in a fixed order, screened."""

from __future__ import annotations

from itertools import islice

import pytest

from symact.equivalence import enumerate_classes
from symact.expr.tree import parse
from symact.optimize import OPTIMIZERS
from symact.optimize.pool import ENUMERABLE, Pool
from symact.program.loading import load_grammar, parse_grammar
from symact.study import Study

GRAMMAR = load_grammar("aquasurf")


@pytest.fixture(scope="module")
def bench():
    return Pool.of(GRAMMAR.space("bench"))


def test_functions_are_listed_once_per_process():
    first = Pool.of(load_grammar("aquasurf").space("bench"))
    assert Pool.of(GRAMMAR.space("bench")) is first
    assert Pool.of(GRAMMAR.space("large")) is not first


def test_members_are_usable_and_one_per_function(bench):
    assert bench.members is not None
    assert len({bench.index.add(member) for member in bench.members}) == len(bench.members)
    assert all(map(bench.usable, bench.members))


def test_a_large_space_is_not_listed():
    large = GRAMMAR.space("large")
    assert large.count() > ENUMERABLE
    assert Pool.of(large).members is None


def test_an_expression_in_other_words_has_the_number_of_the_member_that_it_equals(bench):
    member = parse("add(relu(x),tanh(x))", GRAMMAR)
    for text in ("tanh(x) + relu(x)", "add(tanh(x),relu(x))", "(sinh(x)/cosh(x)) + max(x, 0)"):
        assert bench.index.add(parse(text, GRAMMAR)) == bench.index.add(member)
    foreign = parse("tanh(x) + 3*relu(x)", GRAMMAR)
    assert bench.index.add(foreign) == bench.index.add(parse("3*relu(x) + tanh(x)", GRAMMAR))
    assert bench.index.add(foreign) not in {bench.index.add(other) for other in bench.members or ()}


def test_the_key_of_several_sites_is_site_by_site(bench):
    one, two = parse("relu(x)", GRAMMAR), parse("tanh(x)", GRAMMAR)
    assert bench.index.key((one, two)) == (bench.index.add(one), bench.index.add(two)) != bench.index.key((two, one))


def test_draws_are_a_permutation_fixed_by_the_seed_and_may_begin_later():
    small = Pool.of(
        parse_grammar(
            'name = "g"\n[unary]\nrelu = "max(x, 0)"\ntanh = "tanh(x)"\nsin = "sin(x)"\ncube = "x**3"\n'
            '[binary]\nadd = "a + b"\n[spaces]\nmain = ["binary(unary(x), unary(x))"]'
        ).space()
    )
    order = list(small.draws(3))
    assert sorted(map(str, order)) == sorted(map(str, small.members))
    assert list(small.draws(3)) == order
    assert list(small.draws(4)) != order
    assert list(small.draws(3, start=4)) == order[4:]


def test_draws_of_a_large_space_do_not_repeat_a_function():
    functions = Pool.of(GRAMMAR.space("large"))
    drawn = list(islice(functions.draws(0), 40))
    assert len({functions.index.add(expression) for expression in drawn}) == 40
    assert all(map(functions.usable, drawn))


def test_what_is_constant_or_not_finite_near_the_origin_is_not_usable():
    functions = Pool.of(GRAMMAR.space("large"))
    assert not any(functions.usable(parse(text, GRAMMAR)) for text in ("zero(x)", "1/x", "log(x)", "x - x + 3"))
    assert functions.usable(parse("tanh(x)", GRAMMAR))


def test_the_numbers_of_a_listed_space_are_the_classes_of_its_table(bench):
    index = Pool(bench.space).index
    labels = enumerate_classes(GRAMMAR, bench.space)["class_id"].to_pylist()
    assert [index.add(expression) for expression in bench.space] == labels
    assert len(index) == max(labels) + 1


def test_a_formula_is_the_member_that_it_equals(bench):
    functions = Pool(bench.space)
    for text in ("relu(x)", "tanh(x)", "x*sigmoid(x)", "x**2 + exp(x)", "1/(1 + exp(-x))", "abs(x)*x"):
        member = functions.member(functions.index.add(parse(text)))
        assert member is not None
        assert member in bench.space
        assert functions.index.find(member) == functions.index.find(parse(text))
    assert functions.member(functions.index.add(parse("tanh(x)*atan(x)*erf(x)*sin(x)"))) is None


def test_what_is_not_usable_in_a_space_is_not_usable_written_otherwise(bench):
    functions = Pool(bench.space)
    assert not functions.usable(parse("add(zero(x),one(x))", GRAMMAR))
    assert not functions.usable(parse("0*x + 1"))
    assert functions.usable(parse("tanh(x)*atan(x)*erf(x)*sin(x)"))


def test_a_study_its_store_and_its_optimizers_share_one_index():
    text = 'name = "two"\n[unary]\nid = "x"\ntanh = "tanh(x)"\nrelu = "relu(x)"\n[binary]\nadd = "a + b"\nmul = "a*b"\n'
    space = parse_grammar(text + '[spaces]\nall = ["binary(unary(x),unary(x))"]\n').space("all")

    class Constant:
        def evaluate(self, make_activation, seed, budget=1.0):
            raise AssertionError("nothing is trained here")

    with Study(space, Constant(), "evolution") as study:
        index = Pool.of(space).index
        assert study.optimizer.functions.index is index
        assert OPTIMIZERS["random"](space, 1).functions.index is index
        before = len(index)
        (first, second) = study.ask(2)
        assert study._ledger.key(first) == (index.find(first),)
        assert study._ledger.key((first, second)) == (index.find(first), index.find(second))
        assert study._ledger.key((first, first)) == study._ledger.key(first)
        assert len(index) == before
