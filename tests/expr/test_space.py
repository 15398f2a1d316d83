"""Spaces: what they count, the order in which they enumerate, uniform draws, membership."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from symact.errors import InputError
from symact.expr.space import Space, below, parse_shape
from symact.expr.tree import parse
from symact.program.loading import load_grammar, parse_grammar, shipped

OPERATORS = '[unary]\nf = "x"\ng = "-x"\n[binary]\np = "a + b"\nq = "a - b"\n[nary]\nn = "p"\nm = "q"\n'
LIMITS = [
    "",
    "max_depth = 3\nmax_size = 4",
    'forbid = ["f(g)", "p(q)", "n(f)"]',
    'max_depth = 3\nmax_size = 5\nforbid = ["f(f)", "q(g)", "g(p)"]',
]
SHAPES = [
    '["unary(x)", "unary(unary(unary(x)))"]',
    '["binary(unary(binary(x, unary(x))), x)", "x"]',
    '["nary(unary(x), binary(x, x), unary(unary(x)))", "binary(binary(x, x), unary(x))", "unary(x)"]',
]


def _space(shapes: str, limits: str = "") -> Space:
    return parse_grammar(f"{OPERATORS}[limits]\n{limits}\n[spaces]\ns = {shapes}\n").space()


def _spaces() -> list[Space]:
    found = []
    for shapes, limits in itertools.product(SHAPES, LIMITS):
        found.append(_space(shapes, limits))
    return [*found, *(_space('["tree(x)"]', limits) for limits in (*LIMITS[1::2], "max_depth = 2", "max_size = 3"))]


@pytest.mark.parametrize("space", _spaces(), ids=str)
def test_count_is_the_number_of_distinct_members_enumerated(space: Space) -> None:
    members = list(space)
    assert space.count() == len(members) == len(set(members))
    assert all(member in space for member in members)


@pytest.mark.parametrize("space", [s for s in _spaces() if 2 < s.count() < 3000], ids=str)
def test_draws_are_uniform(space: Space) -> None:
    generator = np.random.default_rng(7)
    drawn = Counter(space.sample(generator) for _ in range(20 * space.count()))
    assert set(drawn) <= set(space)
    observed = [drawn[member] for member in space]
    assert stats.chisquare(observed).pvalue > 1e-4


@pytest.mark.parametrize("name", ["aquasurf", "ramachandran", "pangaea"])
def test_draws_of_large_spaces_are_members_and_use_every_operator(name: str) -> None:
    grammar = load_grammar(name)
    for space in grammar.spaces.values():
        drawn = [space.sample(np.random.default_rng(seed)) for seed in range(400)]
        assert all(member in space for member in drawn)
        kinds = {slot.kind for shape in space.shapes for slot in shape.slots()}
        used = {node.operator.name for member in drawn for node in member.walk()}
        assert all(o.name in used for kind in kinds - {"tree", "nary"} for o in grammar.of_kind(kind))


def test_the_published_spaces_have_their_published_sizes() -> None:
    grammar = load_grammar("aquasurf")
    assert grammar.space().name == "bench"
    assert grammar.space("bench").count() == 5_103
    assert grammar.space("large").count() == 1_023_516
    assert load_grammar("ramachandran").space("unit").count() == 10 * 25 * 25


def test_large_enumerates_as_many_as_it_counts() -> None:
    space = load_grammar("aquasurf").space("large")
    seen = 0
    for member in space:
        if seen in (0, 1, 531_440, 531_441, 1_023_515):
            assert (
                str(member)
                == {
                    0: "zero(zero(zero(zero(x))))",
                    1: "zero(zero(zero(one(x))))",
                    531_440: "hard_sigmoid(hard_sigmoid(hard_sigmoid(hard_sigmoid(x))))",
                    531_441: "zero(add(zero(x),zero(x)))",
                    1_023_515: "min_n(hard_sigmoid(x),hard_sigmoid(x),hard_sigmoid(x))",
                }[seen]
            )
        seen += 1
    assert seen == 1_023_516


def test_order_is_the_product_with_nary_slots_first_then_binary_then_unary() -> None:
    shapes = '["unary(binary(unary(x), x))", "binary(nary(unary(x), x), unary(x))"]'
    first = [f"{u}({b}({v}(x),x))" for b, u, v in itertools.product("pq", "fg", "fg")]
    second = [f"{b}({n}({u}(x),x),{v}(x))" for n, b, u, v in itertools.product("nm", "pq", "fg", "fg")]
    assert [str(member) for member in _space(shapes)] == first + second


def test_forbidden_nestings_leave_the_order_of_the_rest() -> None:
    shapes = '["binary(unary(unary(x)), binary(x, unary(x)))"]'
    free = [str(member) for member in _space(shapes)]
    limited = [str(member) for member in _space(shapes, 'forbid = ["f(g)", "q(p)"]')]
    assert limited == [text for text in free if "f(g" not in text and not (text[0] == "q" and ",p(" in text)]


def test_trees_come_by_size() -> None:
    space = _space('["tree(x)"]', "max_size = 2")
    sizes = [member.size for member in space]
    assert sizes == sorted(sizes)
    assert [str(member) for member in itertools.islice(space, 8)] == [
        *("f(x)", "g(x)", "p(x,x)", "q(x,x)"),
        *("f(f(x))", "f(g(x))", "f(p(x,x))", "f(q(x,x))"),
    ]
    assert space.count() == 4 + 2 * 4 + 2 * (4 + 4)


def test_counts_beyond_64_bits_are_exact_and_drawn_from() -> None:
    space = _space('["tree(x)"]', "max_depth = 8")
    trees = 1
    for _ in range(8):
        trees = 1 + 2 * trees + 2 * trees**2
    assert space.count() == trees - 1 > 2**64
    assert space.sample(np.random.default_rng(0)) in space


def test_below_reaches_every_number() -> None:
    generator = np.random.default_rng(3)
    assert {below(5, generator) for _ in range(200)} == set(range(5))
    large = [below(3 * 2**70, generator) for _ in range(300)]
    assert max(large) < 3 * 2**70
    assert stats.kstest([number / (3 * 2**70) for number in large], "uniform").pvalue > 1e-3


@pytest.mark.parametrize("name", list(shipped()))
def test_members_keep_their_membership_through_text(name: str) -> None:
    grammar = load_grammar(name)
    for space in grammar.spaces.values():
        for seed in range(50):
            member = space.sample(np.random.default_rng(seed))
            again = parse(str(member), grammar)
            assert again == member
            assert again in space


def test_what_is_not_a_member() -> None:
    grammar = load_grammar("aquasurf")
    bench = grammar.space("bench")
    assert parse("max(relu(x),elu(x))", grammar) in bench
    for text in ("x", "relu(x)", "max(relu(x),x)", "max(relu(x),elu(elu(x)))", "relu(x)+elu(x)"):
        assert parse(text, grammar) not in bench
    assert "max(relu(x),elu(x))" not in bench
    other = parse_grammar('[unary]\nrelu = "2*x"\nelu = "x"\n[binary]\nmax = "max(a, b)"')
    assert parse("max(relu(x),elu(x))", other) not in bench


def test_a_space_needs_shapes_that_differ() -> None:
    grammar = load_grammar("aquasurf")
    with pytest.raises(InputError, match="twice"):
        Space(grammar, "s", [parse_shape("unary(x)")] * 2)
    with pytest.raises(InputError, match="empty"):
        Space(grammar, "s", [])
    with pytest.raises(InputError, match="already holds"):
        Space(load_grammar("pangaea"), "s", [parse_shape("tree(x)"), parse_shape("unary(x)")])
