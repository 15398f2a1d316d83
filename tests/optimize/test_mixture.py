"""Mixtures: the formula is Bansal's, `tell` reads the weights, a cell ends in an ordinary expression."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from symact.activation.module import Activation
from symact.errors import InputError
from symact.expr.tree import Expr, from_document, to_document
from symact.optimize.function_features import POINTS
from symact.optimize.mixture import Mixture
from symact.program.loading import load_grammar, parse_grammar
from symact.records import Outcome, Trial

GRAMMAR = load_grammar("aquasurf")
SPACE = GRAMMAR.space("bench")
SMALL = parse_grammar(
    'name = "s"\n[unary]\nrelu = "max(x, 0)"\ntanh = "tanh(x)"\nsin = "sin(x)"\nlog = "log(x)"\n'
    '[binary]\nadd = "a + b"\nmul = "a*b"\npow = "a**b"\n[spaces]\nall = ["binary(unary(x), unary(x))"]\n'
).space()


def weights(candidate, site_values):
    names = [p.name for p in candidate.parameters if p.mixture]
    return tuple({name: value(name) for name in names} for value in site_values)


def test_equal_weights_give_the_mean_of_the_functions():
    (candidate,) = Mixture(SPACE, 0).ask(1)
    module = Activation(candidate, GRAMMAR)
    x = torch.linspace(-3, 3, 50)
    expected = (torch.relu(x) + torch.tanh(x) + torch.sin(x)) / 3
    assert torch.allclose(module(x), expected, atol=1e-5)
    assert len(module.mixture_parameters()) == 3


def test_products_join_the_sum():
    (candidate,) = Mixture(SPACE, 0, products=True).ask(1)
    x = torch.linspace(-3, 3, 50)
    r, t, s = torch.relu(x), torch.tanh(x), torch.sin(x)
    expected = (r + t + s + r * t + r * s + t * s) / 6
    assert torch.allclose(Activation(candidate, GRAMMAR)(x), expected, atol=1e-5)


def test_the_weights_survive_the_store():
    (candidate,) = Mixture(SPACE, 0).ask(1)
    again = from_document(to_document(candidate, GRAMMAR), GRAMMAR)
    assert again.parameters == candidate.parameters
    assert all(p.mixture and p.positive for p in again.parameters)


def test_the_weakest_function_is_exchanged():
    optimizer = Mixture(SPACE, 0)
    (first,) = optimizer.ask(1)
    learnt = weights(first, [lambda name: {"w0_f0": 5.0, "w0_f1": 0.1}.get(name, 2.0)])
    optimizer.tell([Trial(first, (Outcome.finished(0.9, constants=learnt, epochs=30),))])
    (second,) = optimizer.ask(1)
    names = {p.name for p in second.parameters}
    assert {"w0_f0", "w0_f2"} < names
    assert "w0_f1" not in names
    assert optimizer.epochs == 30


def test_a_cell_is_bounded_and_starts_with_the_scale_of_its_inputs():
    for bound in (2.0, 10.0):
        first, drawn = Mixture(SPACE, 0, method="cell", bound=bound).ask(2)
        for candidate in (first, drawn):
            values = Activation(candidate, GRAMMAR)(torch.linspace(-20, 20, 99))
            assert torch.isfinite(values).all()
            assert values.max() - values.min() <= 2 * bound / 0.25
            normal = Activation(candidate, GRAMMAR)(torch.from_numpy(POINTS))
            assert normal.mean().item() == pytest.approx(0.0, abs=2e-3)
            assert normal.std().item() == pytest.approx(1.0, abs=2e-3)


def preferring(name: str) -> float:
    return 9.0 if name.endswith(("_mul", "_tanh")) else 0.1


def test_a_cell_shrinks_to_the_expression_that_training_prefers():
    optimizer = Mixture(SMALL, 0, method="cell", stages=3, samples=2)
    assert optimizer.schedule == "bilevel"
    sizes, told = [], []
    for _ in range(6):
        (candidate,) = optimizer.ask(1)
        sizes.append(sum(p.mixture for p in candidate.parameters))
        outcome = Outcome.finished(0.5, constants=weights(candidate, [preferring, preferring]), epochs=20)
        told.append(Trial(candidate, (outcome,)))
        optimizer.tell(told[-1:])
    assert sizes[0] == 2 + 3 + 3
    assert sizes == sorted(sizes, reverse=True)
    final = optimizer.ask(1)[0]
    assert isinstance(final, Expr)
    assert final in SMALL
    assert str(final) == "mul(tanh(x),tanh(x))"
    resumed = Mixture(SMALL, 0, method="cell", stages=3, samples=2)
    resumed.tell(told)
    assert resumed.ask(3) == optimizer.ask(3)


def test_sites_that_differ_get_a_candidate_per_site():
    optimizer = Mixture(SMALL, 0, method="cell", stages=1, samples=1)
    (candidate,) = optimizer.ask(1)
    sites = weights(candidate, [preferring, lambda name: 9.0 if name.endswith(("_add", "_sin")) else 0.1])
    optimizer.tell([Trial(candidate, (Outcome.finished(0.5, constants=sites),))])
    tuples = [asked for asked in optimizer.ask(2) if isinstance(asked, tuple)]
    assert [len(asked) for asked in tuples] == [2]


def test_drawn_weights_follow_the_concentrations():
    optimizer = Mixture(SMALL, 0, method="cell", samples=3)
    equal, *drawn = optimizer.ask(3)
    assert {p.init for p in equal.parameters if p.mixture} == {1.0}
    for candidate in drawn:
        inits = np.array([p.init for p in candidate.parameters if p.mixture])
        assert (inits >= 0.05).all()
        assert inits.std() > 0


def test_wrong_settings_are_named():
    with pytest.raises(InputError, match="tree"):
        Mixture(SPACE, 0, method="tree")
    with pytest.raises(InputError, match="positive bound"):
        Mixture(SPACE, 0, bound=0.0)
    with pytest.raises(InputError, match="unary and binary slots only"):
        Mixture(load_grammar("pangaea").space("open"), 0, method="cell")
