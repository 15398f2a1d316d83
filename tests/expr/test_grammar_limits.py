"""[limits]: what a naive reading of them allows is what spaces count, list, draw, vary and know."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from symact.equivalence.table.classify import enumerate_classes
from symact.errors import GrammarError
from symact.expr import variation
from symact.expr.slot_rules import slot_rules
from symact.expr.space import Space
from symact.expr.tree import Expr
from symact.optimize.actions import ActionSpace
from symact.optimize.policy import Controller, sample
from symact.program.loading import parse_grammar

OPERATORS = '[unary]\nf = "sin(x)"\ng = "tanh(x)"\nh = "exp(x)"\n[binary]\np = "a + b"\nq = "a*b"\n[nary]\nn = "p"\n'
SHAPES = (
    '["unary(unary(unary(x)))", "unary(x)"]',
    '["binary(unary(unary(x)), binary(x, unary(x)))"]',
    '["nary(unary(x), binary(x, unary(x)), unary(unary(x)))", "x"]',
    '["unary(binary(unary(unary(x)), x))", "nary(binary(unary(x), x))"]',
)
NAMES = "fghpqn"
pairs = st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES), st.booleans())
sizes = st.dictionaries(
    st.sampled_from(NAMES),
    st.integers(0, 4) | st.tuples(st.integers(0, 3), st.integers(0, 3)),
    max_size=3,
)


def written(forbid, most, more="") -> str:
    texts = ", ".join(f'"{outer}({"..." if deep else ""}{inner})"' for outer, inner, deep in forbid)
    kept = {name: size for name, size in most.items() if isinstance(size, int) or name in "pq"}
    table = ", ".join(f"{name} = {size if isinstance(size, int) else list(size)}" for name, size in kept.items())
    return f"{more}\nforbid = [{texts}]\nmax_argument_size = {{ {table} }}"


def naive(expr: Expr, forbid, most) -> bool:
    """The documented meaning of the limits, word by word."""
    for node in expr.walk():
        name = node.operator.name
        for outer, inner, deep in forbid:
            inside = [n for a in node.arguments for n in (a.walk() if deep else (a,))]
            if name == outer and any(other.operator.name == inner for other in inside):
                return False
        size = most.get(name)
        if isinstance(size, tuple) and name not in "pq":
            size = None
        if size is not None:
            each = size if isinstance(size, tuple) else [size] * len(node.arguments)
            if any(argument.size > limit for argument, limit in zip(node.arguments, each, strict=True)):
                return False
    return True


def spaces(shapes, forbid, most, more=""):
    """The space with the limits (None where they leave nothing), and the members that a naive check allows."""
    text = f"{OPERATORS}[spaces]\ns = {shapes}\n[limits]\n"
    members = [e for e in parse_grammar(text + more).space() if naive(e, forbid, most)]
    if not members:
        with pytest.raises(GrammarError, match="the space is empty"):
            parse_grammar(text + written(forbid, most, more))
        return None, []
    return parse_grammar(text + written(forbid, most, more)).space(), members


def check(space: Space, members: list[Expr], free: list[Expr]) -> None:
    assert list(space) == members
    assert space.count() == len(members)
    inside = set(members)
    assert all((expr in space) == (expr in inside) for expr in free)
    generator = np.random.default_rng(3)
    drawn = [space.sample(generator) for _ in range(60)]
    assert inside.issuperset(drawn)
    for one, other in itertools.pairwise(drawn):
        assert variation.mutate(one, space, generator) in inside
        assert inside.issuperset(variation.crossover(one, other, space, generator))
    actions = ActionSpace(space)
    for expr in drawn:
        sequence = actions.sequence(expr)
        assert sequence is not None
        assert all(mask[token] for mask, token in zip(sequence.masks, sequence.tokens, strict=True))
    emitted = sample(Controller(actions.tokens, 4), actions, 20, generator)
    assert inside.issuperset(map(actions.expression, emitted))


@pytest.mark.parametrize("shapes", SHAPES)
@settings(max_examples=12, deadline=None)
@given(forbid=st.lists(pairs, max_size=4), most=sizes)
def test_fixed_shapes_hold_what_a_naive_check_allows(shapes, forbid, most):
    space, members = spaces(shapes, forbid, most)
    if space is not None:
        check(space, members, list(parse_grammar(f"{OPERATORS}[spaces]\ns = {shapes}").space()))


@pytest.mark.parametrize("more", ["max_size = 4", "max_depth = 2", "max_depth = 3\nmax_size = 4"])
@settings(max_examples=12, deadline=None)
@given(forbid=st.lists(pairs, max_size=4), most=sizes)
def test_open_spaces_hold_what_a_naive_check_allows(more, forbid, most):
    shapes = '["tree(x)"]'
    space, members = spaces(shapes, forbid, most, more)
    check(space, members, list(parse_grammar(f"{OPERATORS}[spaces]\ns = {shapes}\n[limits]\n{more}").space()))


DEEP = [("f", "f", True), ("g", "h", True), ("p", "q", False)]
MOST = {"q": (1, 0), "h": 1}


@pytest.mark.parametrize(
    ("shapes", "more"), [('["tree(x)"]', "max_size = 4"), ('["tree(x)"]', "max_depth = 2"), (SHAPES[1], "")]
)
def test_draws_are_uniform_over_what_is_allowed(shapes, more):
    space, members = spaces(shapes, DEEP, MOST, more)
    generator = np.random.default_rng(7)
    drawn = Counter(space.sample(generator) for _ in range(12 * len(members)))
    assert stats.chisquare([drawn[member] for member in members]).pvalue > 1e-4


@pytest.mark.parametrize("shapes", SHAPES)
def test_tables_of_classes_list_what_the_space_holds(shapes):
    space, members = spaces(shapes, DEEP, MOST)
    for equivalence in ("sampled", "float32"):
        table = enumerate_classes(space.grammar, space, equivalence)
        assert table["expression"].to_pylist() == list(map(str, members))


def test_counts_of_large_spaces_respect_forbidden_depth_and_sizes():
    text = f'{OPERATORS}[spaces]\ns = ["tree(x)"]\n[limits]\nmax_depth = 8\n'
    free, limited = parse_grammar(text).space(), parse_grammar(text + written(DEEP, MOST)).space()
    assert 2**64 < limited.count() < free.count()
    assert all(naive(limited.sample(np.random.default_rng(seed)), DEEP, MOST) for seed in range(20))


def test_a_shape_without_operators_has_no_rules():
    grammar = parse_grammar(f'{OPERATORS}[spaces]\ns = ["x"]\n[limits]\n{written(DEEP, MOST)}')
    assert slot_rules(grammar, grammar.space().shapes[0]) == []


def test_too_many_combinations_of_what_is_forbidden_are_refused_at_once():
    names = [f"u{i}" for i in range(30)]
    unary = "\n".join(f'{name} = "x + {i}"' for i, name in enumerate(names))
    each = ", ".join(f'"{name}(...{name})"' for name in names)
    both = ", ".join(f'"{outer}(...{inner})"' for outer in names for inner in names[:5])
    text = f'[unary]\n{unary}\n[spaces]\ns = ["tree(x)"]\n[limits]\nmax_size = 12\nforbid = [%s]'
    with pytest.raises(GrammarError, match=r"33:5: \[spaces.s\] .* more than 500 combinations to count; forbid"):
        parse_grammar(text % each)
    assert parse_grammar(text % both).space().count() > 0


WRONG = [
    ('forbid = ["f(..f)"]', "11:11: [limits.forbid]", "or outer(...inner), at any depth"),
    ('forbid = ["f(...k)"]', "11:17: [limits.forbid]", "unknown operator 'k'"),
    ("max_argument_size = 3", "11:21: [limits.max_argument_size]", "as in { sin = 3, pow = [5, 0] }"),
    ("max_argument_size = { k = 3 }", "11:23: [limits.max_argument_size.k]", "unknown operator 'k'"),
    ("max_argument_size = { f = -1 }", "11:27: [limits.max_argument_size.f]", "expected a whole number of operators"),
    ("max_argument_size = { f = true }", "11:27: [limits.max_argument_size.f]", "expected a whole number of operators"),
    ("max_argument_size = { f = [1, 2] }", "11:27:", "'f' takes 1 argument; expected 1 in the list, or one number"),
    ("max_argument_size = { p = [1] }", "11:27:", "'p' takes 2 arguments; expected 2 in the list, or one number"),
    ("max_argument_size = { n = [1] }", "11:27:", "'n' takes any number of arguments; expected one number for all"),
]


@pytest.mark.parametrize(("line", "place", "reason"), WRONG)
def test_what_is_wrong_is_told_with_its_place_and_what_was_expected(line, place, reason):
    with pytest.raises(GrammarError) as caught:
        parse_grammar(f"{OPERATORS}[limits]\n{line}\n")
    assert place in str(caught.value)
    assert reason in str(caught.value)


def test_what_limits_leave_nothing_says_which():
    with pytest.raises(GrammarError, match="forbid and max_argument_size leave nothing"):
        parse_grammar(
            f'{OPERATORS}[spaces]\ns = ["binary(unary(x), x)"]\n[limits]\nmax_argument_size = {{ p = 0, q = 0 }}'
        )
