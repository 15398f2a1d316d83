"""Seeds that pair all functions, and which candidates a schedule trains apart."""

from __future__ import annotations

import itertools

from symact.expr.grammar import load_grammar
from symact.expr.tree import parse
from symact.optimize.mixture import Mixture
from symact.study.evaluating import is_mixture, training_seed


def test_a_training_seed_is_fixed_by_study_seed_repeat_and_kind_and_by_nothing_else():
    keys = list(itertools.product((0, 1, 2**63 - 1), (0, 1, 5), (False, True)))
    seeds = [training_seed(*key) for key in keys]
    assert seeds == [training_seed(*key) for key in keys]
    assert len(set(seeds)) == len(keys), "the confirmation has fresh seeds"
    assert all(0 <= seed < 2**31 for seed in seeds), "every library takes it"


def test_a_candidate_with_mixture_weights_is_a_mixture_at_any_site():
    (mixture,) = Mixture(load_grammar("aquasurf").space("bench"), 0).ask(1)
    plain = parse("x*sigmoid(beta*x)", load_grammar("ramachandran"))
    assert is_mixture(mixture)
    assert is_mixture((plain, mixture))
    assert not is_mixture(plain)
    assert not is_mixture((plain, plain))
