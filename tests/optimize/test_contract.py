"""The contract of every optimizer, over the registry: to be in `OPTIMIZERS` is to be tested."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch

from symact.errors import InputError
from symact.expr.tree import Expr, parse
from symact.optimize import OPTIMIZERS
from symact.optimize.base import rank_values, ranked, score_of
from symact.program.loading import load_grammar, parse_grammar
from symact.records import Outcome, Status, Trial
from symact.study import Study

SMALL = """
name = "small"
[unary]
identity = "x"
relu = "max(x, 0)"
tanh = "tanh(x)"
sin = "sin(x)"
sigmoid = "sigmoid(x)"
softplus = "softplus(x)"
[binary]
add = "a + b"
mul = "a*b"
max = "max(a, b)"
[spaces]
pairs = ["binary(unary(x), unary(x))"]
one = ["unary(x)"]
"""
ONE = 'name = "one"\n[unary]\ntanh = "tanh(x)"\n[spaces]\nall = ["unary(x)"]\n'
SPACE = parse_grammar(SMALL).space("pairs")
NAMES = list(OPTIMIZERS)
# What walks through the members of a space; a mixture lies between them.
MEMBERS = [name for name in NAMES if name != "mixture"]


def score(candidate: object) -> float:
    """A fixed value per candidate text, in [0, 1)."""
    text = str(candidate) if isinstance(candidate, Expr) else ";".join(map(str, candidate))  # type: ignore[arg-type]
    return int.from_bytes(text.encode()[-6:], "little") % 1009 / 1009


def outcome(candidate: object) -> Outcome:
    expressions = [candidate] if isinstance(candidate, Expr) else list(candidate)  # type: ignore[call-overload]
    constants = tuple({p.name: p.init + 0.1 for p in e.parameters} for e in expressions for _ in range(2))
    return Outcome.finished(score(candidate), constants=constants, epochs=30)


def trials(candidates: list, start: int = 0, name: str = "") -> list[Trial]:
    return [Trial(c, (outcome(c),), name, start + n, start) for n, c in enumerate(candidates)]


def searched(name: str, space: object = SPACE, batches: int = 4, batch: int = 4, seed: int = 0, **settings: object):
    optimizer = OPTIMIZERS[name](space, seed, **settings)
    told: list[Trial] = []
    for _ in range(batches):
        new = trials(optimizer.ask(batch), len(told), name)
        optimizer.tell(new)
        told += new
    return optimizer, told


def keys(optimizer: object, candidates: list) -> list:
    return [optimizer.key(candidate) for candidate in candidates]  # type: ignore[attr-defined]


def texts(candidates: list) -> list[str]:
    return [str(c) if isinstance(c, Expr) else ";".join(map(str, c)) for c in candidates]


@pytest.mark.parametrize("name", MEMBERS)
def test_candidates_lie_in_the_space(name):
    _, told = searched(name)
    assert len(told) == 16
    assert all(trial.candidate in SPACE for trial in told)


@pytest.mark.parametrize("name", NAMES)
def test_no_function_is_asked_twice(name):
    optimizer, told = searched(name)
    found = keys(optimizer, [trial.candidate for trial in told])
    assert found
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_fixes_everything(name):
    first = [texts([t.candidate for t in searched(name, seed=5)[1]]) for _ in range(2)]
    assert first[0] == first[1]


@pytest.mark.parametrize("name", MEMBERS)
def test_another_seed_searches_elsewhere(name):
    assert texts([t.candidate for t in searched(name, seed=1)[1]]) != texts(
        [t.candidate for t in searched(name, seed=2)[1]]
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_fresh_one_told_all_trials_goes_on(name):
    optimizer, told = searched(name)
    at_once, one_by_one = OPTIMIZERS[name](SPACE, 0), OPTIMIZERS[name](SPACE, 0)
    at_once.tell(told)
    for trial in told:
        one_by_one.tell([trial])
    expected = texts(optimizer.ask(5))
    assert texts(at_once.ask(5)) == expected
    assert texts(one_by_one.ask(5)) == expected


@pytest.mark.parametrize("name", NAMES)
def test_asking_changes_nothing(name):
    optimizer, _ = searched(name)
    first = texts(optimizer.ask(3))
    assert texts(optimizer.ask(6))[: len(first)] == first
    assert texts(optimizer.ask(3)) == first


@pytest.mark.parametrize("name", NAMES)
def test_asking_for_none_gives_none(name):
    optimizer, _ = searched(name, batches=1)
    assert optimizer.ask(0) == []
    assert optimizer.ask(-1) == []


@pytest.mark.parametrize("name", NAMES)
def test_failed_trials_alone_do_no_harm(name):
    optimizer = OPTIMIZERS[name](SPACE, 0)
    for batch in range(4):
        failed = [
            Trial(c, (Outcome.failed(status, "no"),), name, n, batch)
            for n, (c, status) in enumerate(zip(optimizer.ask(4), list(Status)[1:5], strict=False))
        ]
        optimizer.tell(failed)
    again = optimizer.ask(4)
    assert not set(keys(optimizer, again)) & set(optimizer.known)
    assert again or name == "mixture"


@pytest.mark.parametrize("name", NAMES)
def test_not_a_number_never_wins(name):
    optimizer = OPTIMIZERS[name](SPACE, 0)
    expressions = [parse(text, SPACE.grammar) for text in ("add(relu(x),sin(x))", "mul(tanh(x),sin(x))")]
    nan = Outcome(Status.finished, math.nan)
    optimizer.tell([Trial(e, (nan,), "baseline") for e in expressions])
    optimizer.tell(trials(optimizer.ask(8), 2, name))
    assert optimizer.ask(2)


@pytest.mark.parametrize("name", MEMBERS)
def test_a_space_of_one_function_is_used_up(name):
    space = parse_grammar(ONE).space()
    optimizer = OPTIMIZERS[name](space, 0)
    assert texts(optimizer.ask(5)) == ["tanh(x)"]
    optimizer.tell(trials(optimizer.ask(5)))
    assert optimizer.ask(5) == []


@pytest.mark.parametrize("name", MEMBERS)
def test_a_used_up_space_gives_each_function_once(name):
    space = parse_grammar(SMALL).space("one")
    optimizer, told = searched(name, space, batches=5, batch=3)
    assert sorted(texts([t.candidate for t in told])) == sorted(
        ["relu(x)", "tanh(x)", "sin(x)", "sigmoid(x)", "softplus(x)"]
    ), "the identity makes a linear network"
    assert optimizer.ask(3) == []


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize(("grammar", "space"), [("aquasurf", "large"), ("pangaea", "open")])
def test_a_huge_space_needs_no_list(name, grammar, space):
    huge = load_grammar(grammar).space(space)
    optimizer, told = searched(name, huge, batches=2, batch=5)
    assert len(told) == 10
    assert all(trial.candidate in huge for trial in told)
    assert len(set(keys(optimizer, [t.candidate for t in told]))) == 10


@pytest.mark.parametrize("name", NAMES)
def test_tells_may_be_missing_or_out_of_order(name):
    optimizer = OPTIMIZERS[name](SPACE, 0)
    asked = optimizer.ask(6)
    optimizer.tell(list(reversed(trials(asked)))[: max(1, len(asked) // 2)])
    told = set(optimizer.known)
    again = optimizer.ask(6)
    assert not told & set(keys(optimizer, again))
    optimizer.tell(trials(again, 6))
    optimizer.ask(2)


@pytest.mark.parametrize("name", NAMES)
def test_trials_from_elsewhere_are_taken_in(name):
    grammar = SPACE.grammar
    foreign = [parse(text, grammar) for text in ("x*sigmoid(x)", "tanh(tanh(tanh(x)))", "add(tanh(x),sin(x))")]
    optimizer = OPTIMIZERS[name](SPACE, 0)
    optimizer.tell([Trial(e, (Outcome.finished(0.5),), "baseline", n, -1) for n, e in enumerate(foreign)])
    optimizer.tell([Trial((foreign[2], foreign[2]), (Outcome.finished(0.1),), "elsewhere", 3, 0)])
    optimizer.tell([Trial(foreign[2], (Outcome.finished(0.5),), name, 4, 0, cached=True)])
    asked = optimizer.ask(40)
    assert asked
    assert not set(keys(optimizer, asked)) & set(keys(optimizer, foreign))


@pytest.mark.parametrize("name", NAMES)
def test_global_generators_are_left_alone(name):
    random.seed(3)
    np.random.seed(3)
    torch.manual_seed(3)
    before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    optimizer, _ = searched(name)
    optimizer.ask(4)
    assert random.getstate() == before[0]
    assert (np.random.get_state()[1] == before[1]).all()
    assert torch.equal(torch.get_rng_state(), before[2])


def test_the_registry_reads_like_a_dict():
    assert list(OPTIMIZERS) == ["random", "evolution", "rl", "surrogate", "mixture"]
    assert "random" in OPTIMIZERS
    assert "annealing" not in OPTIMIZERS
    assert all(OPTIMIZERS[name].name == name for name in OPTIMIZERS)
    with pytest.raises(KeyError):
        OPTIMIZERS["annealing"]


def test_failures_rank_last_and_nan_is_a_failure():
    x = parse("tanh(x)", SPACE.grammar)
    rows = [
        Trial(x, (Outcome(Status.finished, math.nan),)),
        Trial(x, (Outcome.finished(0.2),)),
        Trial(x, (Outcome.failed("diverged", "no"),)),
        Trial(x, (Outcome.finished(-3.0),)),
        Trial(x, (Outcome.finished(0.9), Outcome.failed("crashed", "no"))),
    ]
    assert [score_of(t) for t in ranked(rows)] == [0.2, -3.0, None, None, None]


def test_rank_values_are_even_and_share_ties():
    assert rank_values([0.1, None, 0.3, math.nan]).tolist() == pytest.approx([1 / 3, -2 / 3, 1.0, -2 / 3])
    assert rank_values([7.0]).tolist() == [0.0]
    assert rank_values([]).tolist() == []


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(InputError, match="unknown optimizer 'zzz'; known are random, evolution") as caught:
        OPTIMIZERS["zzz"]
    assert isinstance(caught.value, KeyError)
    assert "zzz" not in OPTIMIZERS
    assert OPTIMIZERS.get("zzz") is None
    with pytest.raises(InputError, match=r"'Random'.*known are random"):
        Study(SPACE, "digits-deep", "Random")
