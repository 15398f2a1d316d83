"""Same seed, same study: the same trials, whatever the number of workers and however often it is killed."""

from __future__ import annotations

import random

import pytest

from symact.expr.tree import candidate_text
from symact.optimize import OPTIMIZERS
from symact.store import Store
from tests.execute import stub_tasks
from tests.study import driver

EVALUATIONS = 26
BATCH = 4


def trace(run):
    """Everything that decides a study: what was asked, and what came of it."""
    with Store.open(run) as store:
        asked = [(a.number, a.batch, a.origin, a.budget, a.known, a.promoted, dict(a.candidate)) for a in store.asked()]
        found = [
            (t.number, candidate_text(t.candidate), t.status, t.scores, [o.constants for o in t.outcomes])
            for t in store.trials()
        ]
        return asked, found, store.told(), [(c.number, c.scores) for c in store.confirmations()]


def spec(run, optimizer, workers, task="SlowScheduled", **changes):
    options = {"seed": 7, "batch": BATCH, "confirm": 2, "evaluations": EVALUATIONS, **changes}
    return {"run": str(run), "task": stub_tasks.named(task), "optimizer": optimizer, "workers": workers, **options}


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_trials_do_not_depend_on_workers_or_on_being_killed(tmp_path, optimizer):
    driver.follow(**spec(tmp_path / "here", optimizer, 0, "Scheduled")).close()
    expected = trace(tmp_path / "here")
    assert len(expected[1]) == EVALUATIONS
    # Two workers begin the study that is killed below, and one goes on with it.
    driver.follow(**spec(tmp_path / "workers", optimizer, 4)).close()
    assert trace(tmp_path / "workers") == expected, "four workers made other trials"
    after = random.Random(optimizer).randint(10, EVALUATIONS - 4)
    with driver.started(**spec(tmp_path / "killed", optimizer, 2)) as process:
        for line in process.stdout:
            if int(line.split()[0]) >= after:
                process.kill()
                break
    with Store.open(tmp_path / "killed") as store:
        assert after <= len(store.trials()) < EVALUATIONS, "the study was not killed in the middle"
    driver.follow(**spec(tmp_path / "killed", optimizer, 1, task="SlowScheduled")).close()
    assert trace(tmp_path / "killed") == expected, "a killed and resumed study made other trials"


@pytest.mark.parametrize("changes", [{"halving": True, "repeats": 2}, {"repeats": 3}, {"budgets": [1.0], "repeats": 3}])
def test_budgets_and_repeats_are_as_reproducible(tmp_path, changes):
    driver.follow(**spec(tmp_path / "here", "random", 0, "Scheduled", **changes)).close()
    driver.follow(**spec(tmp_path / "workers", "random", 2, **changes)).close()
    assert trace(tmp_path / "workers") == trace(tmp_path / "here")
    with driver.started(**spec(tmp_path / "killed", "random", 2, **changes)) as process:
        for line in process.stdout:
            if int(line.split()[0]) >= 14:
                process.kill()
                break
    driver.follow(**spec(tmp_path / "killed", "random", 2, **changes)).close()
    assert trace(tmp_path / "killed") == trace(tmp_path / "here")


def test_another_seed_makes_other_trials(tmp_path):
    driver.follow(**spec(tmp_path / "one", "random", 0, "Scheduled")).close()
    driver.follow(**spec(tmp_path / "two", "random", 0, "Scheduled", seed=8)).close()
    one, two = trace(tmp_path / "one")[1], trace(tmp_path / "two")[1]
    assert [t[1] for t in one[:9]] == [t[1] for t in two[:9]]
    assert [t[1] for t in one[9:]] != [t[1] for t in two[9:]]
    assert one[0][3] != two[0][3], "training seeds do not follow the study seed"
