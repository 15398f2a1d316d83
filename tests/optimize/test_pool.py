"""The functions of a space: listed once, keyed by identity, drawn in a fixed order, screened."""

from __future__ import annotations

from itertools import islice

from symact.expr.grammar import load_grammar, parse_grammar
from symact.expr.tree import parse
from symact.optimize.pool import ENUMERABLE, Functions

GRAMMAR = load_grammar("aquasurf")
BENCH = Functions.of(GRAMMAR.space("bench"))


def test_functions_are_listed_once_per_process():
    assert Functions.of(load_grammar("aquasurf").space("bench")) is BENCH
    assert Functions.of(GRAMMAR.space("large")) is not BENCH


def test_members_are_usable_and_one_per_function():
    assert BENCH.members is not None
    assert len({BENCH.key(member) for member in BENCH.members}) == len(BENCH.members)
    assert all(map(BENCH.usable, BENCH.members))


def test_a_large_space_is_not_listed():
    large = GRAMMAR.space("large")
    assert large.count() > ENUMERABLE
    assert Functions.of(large).members is None


def test_an_expression_in_other_words_has_the_key_of_the_member_that_it_equals():
    member = parse("add(relu(x),tanh(x))", GRAMMAR)
    for text in ("tanh(x) + relu(x)", "add(tanh(x),relu(x))", "(sinh(x)/cosh(x)) + max(x, 0)"):
        assert BENCH.key(parse(text, GRAMMAR)) == BENCH.key(member)
    foreign = parse("tanh(x) + 3*relu(x)", GRAMMAR)
    assert BENCH.key(foreign) == BENCH.key(parse("3*relu(x) + tanh(x)", GRAMMAR))
    assert BENCH.key(foreign) not in {BENCH.key(other) for other in BENCH.members or ()}


def test_the_key_of_several_sites_is_site_by_site():
    one, two = parse("relu(x)", GRAMMAR), parse("tanh(x)", GRAMMAR)
    assert BENCH.key((one, two)) == (BENCH.key(one), BENCH.key(two)) != BENCH.key((two, one))


def test_draws_are_a_permutation_fixed_by_the_seed_and_may_begin_later():
    small = Functions.of(
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
    functions = Functions.of(GRAMMAR.space("large"))
    drawn = list(islice(functions.draws(0), 40))
    assert len({functions.key(expression) for expression in drawn}) == 40
    assert all(map(functions.usable, drawn))


def test_what_is_constant_or_not_finite_near_the_origin_is_not_usable():
    functions = Functions.of(GRAMMAR.space("large"))
    assert not any(functions.usable(parse(text, GRAMMAR)) for text in ("zero(x)", "1/x", "log(x)", "x - x + 3"))
    assert functions.usable(parse("tanh(x)", GRAMMAR))
