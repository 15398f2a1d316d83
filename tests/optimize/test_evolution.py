"""Evolution: who breeds, what children are, the Pareto front, and whose random generator is used."""

from __future__ import annotations

import random

import numpy as np
import pytest

from symact.errors import InputError
from symact.expr.tree import parse
from symact.optimize.evolution import COSTS, Evolution, cost, python_random
from symact.program.loading import load_grammar
from symact.records import Outcome, Trial

SPACE = load_grammar("aquasurf").space("bench")


def told(texts_and_scores, **settings):
    optimizer = Evolution(SPACE, 0, **settings)
    optimizer.tell(
        Trial(parse(text, SPACE.grammar), (Outcome.finished(s) if s is not None else Outcome.failed("diverged", ""),))
        for text, s in texts_and_scores
    )
    return optimizer


ROWS = [
    ("add(relu(x),tanh(x))", 0.9),
    ("mul(erf(x),elu(x))", 0.5),
    ("max(erf(x),selu(x))", 0.7),
    ("min(one(x),exp(x))", None),
    ("add(zero(x),relu(x))", 0.6),
]


def test_aging_lets_the_oldest_die_however_good():
    breeding = [str(one.expression) for one in told(ROWS, population=3).breeders()]
    assert breeding == ["mul(erf(x),elu(x))", "max(erf(x),selu(x))", "add(zero(x),relu(x))"]


def test_mu_plus_lambda_keeps_the_best():
    breeding = [str(one.expression) for one in told(ROWS, population=2, algorithm="mu+lambda").breeders()]
    assert breeding == ["add(relu(x),tanh(x))", "max(erf(x),selu(x))"]


def test_failures_never_breed():
    for algorithm in ("aging", "mu+lambda", "nsga2"):
        breeding = told(ROWS, population=10, algorithm=algorithm).breeders()
        assert len(breeding) == 4
        assert "min(one(x),exp(x))" not in {str(one.expression) for one in breeding}


def test_the_front_holds_what_nothing_else_beats_in_score_and_cost():
    optimizer = told(ROWS, algorithm="nsga2")
    front = [(str(e), s, c) for e, s, c in optimizer.front]
    expected = {
        text for text, s in ROWS if s is not None
        and not any(
            t is not None and t >= s and cost(parse(o, SPACE.grammar)) <= cost(parse(text, SPACE.grammar)) and o != text
            for o, t in ROWS
        )
    }  # fmt: skip
    assert {text for text, _, _ in front} == expected
    assert [c for _, _, c in front] == sorted(c for _, _, c in front)


def test_cost_is_deterministic_and_grows_with_work():
    cheap, dear = (cost(parse(text, SPACE.grammar)) for text in ("add(zero(x),relu(x))", "mul(erf(x),sinh(x))"))
    assert 0 < cheap < dear


def test_on_a_gpu_a_power_costs_more_than_an_error_function_and_a_quotient_as_much_as_a_product():
    rows = [("x**2.3", 0.9), ("erf(x)", 0.8), ("x/(2 + x)", 0.7)]
    optimizer = Evolution(SPACE, 0, algorithm="nsga2", cost="gpu")
    assert optimizer._cost is COSTS["gpu"]
    power, error, quotient = (COSTS["gpu"](parse(text)) for text, _ in rows)
    assert quotient < error < power
    assert told(ROWS, algorithm="nsga2", cost="gpu").front != told(ROWS, algorithm="nsga2").front
    with pytest.raises(InputError, match="cost='tpu' is not one of 'cpu', 'gpu'"):
        Evolution(SPACE, 0, algorithm="nsga2", cost="tpu")


def test_children_of_a_change_differ_in_one_operator():
    optimizer = told(ROWS[:1], initial=1, crossover=0.0, mutations={"change": 1.0})
    names = ["add", "relu", "tanh"]
    for child in optimizer.ask(12):
        found = [node.operator.name for node in child.walk() if node.operator.name != "x"]
        assert sum(a != b for a, b in zip(names, found, strict=True)) == 1


def test_python_s_generator_is_seeded_and_put_back():
    random.seed(1)
    state = random.getstate()
    with python_random(np.random.default_rng(5)):
        first = random.random()
    assert random.getstate() == state
    with python_random(np.random.default_rng(5)):
        assert random.random() == first
    with pytest.raises(ZeroDivisionError), python_random(np.random.default_rng(5)):
        raise ZeroDivisionError
    assert random.getstate() == state


def test_evolution_climbs():
    def value(e):
        return sum(node.operator.name in ("tanh", "max", "erf") for node in e.walk())

    optimizer = Evolution(SPACE, 0)
    scores = []
    for _ in range(10):
        asked = optimizer.ask(8)
        scores.append(np.mean([value(e) for e in asked]))
        optimizer.tell([Trial(e, (Outcome.finished(value(e)),)) for e in asked])
    assert np.mean(scores[-3:]) > 1.5 * max(np.mean(scores[:1]), 0.3)


def test_wrong_settings_are_named():
    with pytest.raises(InputError, match="annealing"):
        Evolution(SPACE, 0, algorithm="annealing")
    with pytest.raises(InputError, match="shuffle"):
        Evolution(SPACE, 0, mutations={"shuffle": 1.0})


def several(texts):
    return tuple(parse(text, SPACE.grammar) for text in texts)


PARENTS = [
    (several(["add(relu(x),tanh(x))", "mul(erf(x),elu(x))"]), 0.9),
    (several(["max(erf(x),selu(x))", "add(zero(x),relu(x))"]), 0.8),
    (parse("mul(tanh(x),relu(x))", SPACE.grammar), 0.7),
]


def test_a_child_of_several_sites_has_each_from_a_parent_but_the_one_that_mutated():
    optimizer = Evolution(SPACE, 0, sites=2, initial=1, crossover=0.5)
    optimizer.tell(Trial(candidate, (Outcome.finished(score),)) for candidate, score in PARENTS)
    pool = [candidate if isinstance(candidate, tuple) else (candidate,) * 2 for candidate, _ in PARENTS]
    children = optimizer.ask(30)
    assert children == optimizer.ask(30)
    assert len({optimizer.key(child) for child in children}) == 30
    for child, note in zip(children, optimizer.explain(children), strict=True):
        assert len(child) == 2
        new = [site for site, part in enumerate(child) if part not in {parent[site] for parent in pool}]
        assert len(new) <= 1
        assert not new or note["operation"].endswith(f"at site {new[0] + 1}")
    operations = " ".join(note["operation"] for note in optimizer.explain(children))
    assert "crossover" in operations
    assert "at site 1" in operations
    assert "at site 2" in operations


def test_the_cost_of_several_sites_is_their_mean_and_another_number_of_sites_is_left_out():
    optimizer = Evolution(SPACE, 0, sites=2, algorithm="nsga2")
    optimizer.tell(Trial(candidate, (Outcome.finished(score),)) for candidate, score in PARENTS)
    optimizer.tell([Trial(PARENTS[0][0] * 2, (Outcome.finished(2.0),))])
    assert len(optimizer.breeders()) == 3
    assert {found: c for found, _, c in optimizer.front}[PARENTS[0][0]] == sum(map(cost, PARENTS[0][0])) / 2
