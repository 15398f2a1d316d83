"""Mutation and crossover never leave the space, move, and are a function of the generator's state."""

from __future__ import annotations

import numpy as np
import pytest

from symact.expr import variation
from symact.expr.space import Space
from symact.expr.tree import parse
from symact.program.loading import load_grammar, shipped

SPACES = [pytest.param(s, id=f"{n}-{s.name}") for n in shipped() for s in load_grammar(n).spaces.values()]


@pytest.mark.parametrize("space", SPACES)
def test_mutations_and_crossovers_are_members(space: Space) -> None:
    generator = np.random.default_rng(5)
    one, other = space.sample(generator), space.sample(generator)
    for step in range(2_000):
        if step % 2:
            one, other = variation.crossover(one, other, space, generator)
            assert other in space
        else:
            one, other = variation.mutate(one, space, generator), space.sample(generator)
        assert one in space


@pytest.mark.parametrize("space", SPACES)
def test_the_same_generator_gives_the_same_variation(space: Space) -> None:
    def run() -> list[str]:
        generator = np.random.default_rng(11)
        expr = space.sample(generator)
        found = []
        for _ in range(50):
            expr = variation.mutate(expr, space, generator)
            found += map(str, (expr, *variation.crossover(expr, space.sample(generator), space, generator)))
        return found

    assert run() == run()


def _pangaea(text: str, count: int = 200) -> dict[str, set[str]]:
    grammar = load_grammar("pangaea")
    space, expr = grammar.space("open"), parse(text, grammar)
    generator = np.random.default_rng(1)
    return {
        name: {str(mutant) for _ in range(count) if (mutant := mutation(expr, space, generator)) is not None}
        for name, mutation in variation.MUTATIONS.items()
    }


def test_each_mutation_does_what_it_is_called() -> None:
    grammar = load_grammar("pangaea")
    found = _pangaea("add(relu(x),tanh(x))")
    assert found["remove"] == {"relu(x)", "tanh(x)", "add(x,tanh(x))", "add(relu(x),x)"}
    assert found["parametrize"] == {
        "scale(add(relu(x),tanh(x)))",
        "add(scale(relu(x)),tanh(x))",
        "add(relu(scale(x)),tanh(x))",
        "add(relu(x),scale(tanh(x)))",
        "add(relu(x),tanh(scale(x)))",
    }
    for text in found["insert"]:
        assert parse(text, grammar).size in (4, 5)
    start = parse("add(relu(x),tanh(x))", grammar)
    for text in found["change"]:
        pairs = zip(parse(text, grammar).walk(), start.walk(), strict=True)
        assert sum(new.operator != old.operator for new, old in pairs) == 1
    assert {parse(text, grammar).size for text in found["regenerate"]} == {3}
    assert len(found["regenerate"]) > 150


def test_reshape_moves_between_shapes_and_keeps_operators() -> None:
    grammar = load_grammar("aquasurf")
    space, expr = grammar.space("large"), parse("sum_n(relu(x),tanh(x),sin(x))".replace("sin", "erf"), grammar)
    generator = np.random.default_rng(2)
    mutants = [variation.reshape(expr, space, generator) for _ in range(50)]
    shapes = {str(space.shape_of(mutant)) for mutant in mutants if mutant}
    assert len(shapes) == 4
    assert all({"relu", "tanh"} <= {n.operator.name for n in m.walk()} for m in mutants if m)


def test_learnable_parameters_do_not_outgrow_the_limits() -> None:
    grammar = load_grammar("pangaea")
    space = grammar.space("open")
    full = next(e for e in (space.sample(np.random.default_rng(s)) for s in range(99)) if e.size == 12)
    assert variation.insert(full, space, np.random.default_rng(0)) is None
    assert variation.parametrize(full, space, np.random.default_rng(0)) is None


def test_mutation_of_a_stranger_is_a_member() -> None:
    space = load_grammar("aquasurf").space()
    assert variation.mutate(parse("x*sigmoid(x)"), space, np.random.default_rng(0)) in space
    for child in variation.crossover(parse("x"), parse("x"), space, np.random.default_rng(0)):
        assert child in space


def test_crossover_exchanges_subtrees() -> None:
    grammar = load_grammar("aquasurf")
    space = grammar.space("bench")
    a, b = parse("max(relu(x),elu(x))", grammar), parse("min(tanh(x),erf(x))", grammar)
    children = {str(c) for s in range(60) for c in variation.crossover(a, b, space, np.random.default_rng(s))}
    assert "max(tanh(x),elu(x))" in children
    assert "min(tanh(x),relu(x))" in children
    theirs = {"max", "relu", "elu", "min", "tanh", "erf", "x"}
    for child in children:
        assert all(n.operator.name in theirs for n in parse(child, grammar).walk())
