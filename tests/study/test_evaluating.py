"""Seeds that pair all functions, and which candidates a schedule trains apart."""

from __future__ import annotations

import itertools

import pytest

from symact.expr.tree import is_mixture, parse
from symact.optimize.mixture import Mixture
from symact.program.loading import load_grammar
from symact.records import Outcome
from symact.study import Study
from symact.study.evaluating import training_seed


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


@pytest.mark.parametrize("method", ["sum", "cell"])
def test_on_fresh_seeds_the_references_train_as_long_as_the_mixture(method):
    seen = []

    class Task:
        name, sites = "scheduled", 1

        def evaluate(self, make_activation, seed, budget=1.0, schedule="joint"):
            candidate = make_activation.candidate
            seen.append((is_mixture(candidate), seed, schedule))
            weights = {p.name: 1.0 for p in candidate.parameters}
            return Outcome.finished(
                len(str(candidate)) % 7 / 7, constants=(weights,), epochs={"joint": 10}.get(schedule, 30)
            )

    space = load_grammar("aquasurf").space("bench")
    study = Study(space, Task(), "mixture", method=method, stages=1, samples=1, confirm=3, confirm_best=2)
    study.run(12)
    fresh = {training_seed(0, repeat, confirmation=True) for repeat in range(3)}
    searched = {(mixture, schedule) for mixture, seed, schedule in seen if seed not in fresh}
    schedule = {"sum": "three-cycle", "cell": "bilevel"}[method]
    assert searched == {(False, "joint"), (True, schedule)}
    assert {schedule for _, seed, schedule in seen if seed in fresh} == {schedule}
    assert {o.metrics["epochs"] for t in study.confirmations for o in t.outcomes} == {30}
