"""Stopping hopeless trainings early: the bars, and studies that make the same trials however they are run."""

from __future__ import annotations

import pytest

from symact.errors import InputError
from symact.execute.reporting import REPORTED
from symact.expr.tree import parse
from symact.records import Direction, Outcome, Status, Trial
from symact.store import Store
from symact.study import Study
from symact.study.pruning import STARTUP, Pruner
from tests.execute import stub_tasks
from tests.study import driver
from tests.study.test_reproducible import spec, trace


def trial(*curves, **changes):
    outcomes = tuple(Outcome.finished(c[-1][1], **{REPORTED: c}) for c in curves)
    return Trial(parse("relu(x)"), outcomes, **changes)


def learned(keep, curves, direction=Direction.maximize):
    pruner = Pruner(keep, direction)
    pruner.learn([trial([[1, value]]) for value in curves])
    return pruner.bars(1.0, 0)


@pytest.mark.parametrize(("keep", "bar"), [(50, 0.5), (100 / 3, 0.7), (75, 0.3), (10, 0.9)])
def test_the_bar_is_the_worst_of_the_best_percent(keep, bar):
    values = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]

    assert learned(keep, values) == [[1, bar]]
    assert learned(keep, values, Direction.minimize) == [[1, pytest.approx(-(1 - bar))]]


def test_there_is_no_bar_before_enough_have_reported_or_where_none_is_wanted():
    assert learned(50, [0.5] * (STARTUP - 1)) == []
    assert learned(50, [0.5] * STARTUP) == [[1, 0.5]]
    assert learned(None, [0.5] * 20) == []


def test_trainings_of_one_seed_and_length_are_compared():
    pruner = Pruner(50, Direction.maximize)
    pruner.learn([trial([[1, 0.1]], [[1, 0.9]]) for _ in range(STARTUP)])
    pruner.learn([trial([[1, 0.4]], budget=0.3) for _ in range(STARTUP)])
    assert [pruner.bars(*which) for which in ((1.0, 0), (1.0, 1), (0.3, 0), (0.3, 1))] == [
        [[1, 0.1]],
        [[1, 0.9]],
        [[1, 0.4]],
        [],
    ]


def test_what_failed_was_cached_or_is_no_curve_raises_no_bar():
    pruner = Pruner(50, Direction.maximize)
    stopped = Outcome.failed(Status.pruned, "", **{REPORTED: [[1, 0.9]]})
    odd = [Outcome.finished(0.5, **{REPORTED: curve}) for curve in ("no", [[1]], [[1, None]], [["a", 0.5]], None)]
    pruner.learn([Trial(parse("relu(x)"), (o,)) for o in [stopped, *odd]] * STARTUP)
    pruner.learn([trial([[1, 0.5]], cached=True)] * STARTUP)
    assert pruner.bars(1.0, 0) == []


def test_trials_are_the_same_with_any_number_of_workers_and_after_kills(tmp_path):
    changes = {"prune": 50, "repeats": 2, "confirm": 1}
    driver.follow(**spec(tmp_path / "here", "evolution", 0, "Reporting", **changes)).close()
    expected = trace(tmp_path / "here")
    statuses = [row[2] for row in expected[1]]
    assert statuses.count(Status.pruned) > 3, "nothing was stopped, so this shows nothing"
    assert Status.pruned not in statuses[:9], "a baseline was stopped"
    driver.follow(**spec(tmp_path / "workers", "evolution", 2, "Reporting", **changes)).close()
    assert trace(tmp_path / "workers") == expected
    with driver.started(**spec(tmp_path / "killed", "evolution", 2, "SlowReporting", **changes)) as process:
        for line in process.stdout:
            if int(line.split()[0]) >= 15:
                process.kill()
                break
    driver.follow(**spec(tmp_path / "killed", "evolution", 1, "SlowReporting", **changes)).close()
    assert trace(tmp_path / "killed") == expected


def test_a_pruned_trial_is_kept_with_its_curve_and_its_reason(tmp_path, space):
    with Study(space, stub_tasks.Reporting(), "random", run=tmp_path / "run", prune=50, confirm=0) as study:
        study.run(40)
    with Store.open(tmp_path / "run") as store:
        pruned = [t for t in store.trials() if t.status is Status.pruned]
    assert pruned
    for each in pruned:
        curve = each.outcomes[-1].metrics[REPORTED]
        assert each.reason.startswith(f"stopped at step {curve[-1][0]}: {curve[-1][1]:.5g} so far, ")
        assert each.score is None


def test_watchers_hear_of_trainings_in_this_process_and_in_workers(tmp_path, space):
    for workers, task in ((0, stub_tasks.Reporting()), (1, stub_tasks.named("SlowReporting"))):
        heard = []
        with Study(space, task, "random", workers=workers, confirm=0) as study:
            study.run(12, lambda progress, heard=heard: heard.append(dict(progress.running)))
        steps = [step for running in heard for training in running.values() for step in [training.step]]
        assert steps, f"{workers} workers: nothing was heard"
        assert set(steps) <= {1, 2, 3, 4}
        assert all(len(running) <= 1 for running in heard)


@pytest.mark.parametrize(
    ("task", "changes", "message"),
    [
        (stub_tasks.Quick(), {}, "Quick' tells nothing while it trains; its `evaluate` needs an argument `report`"),
        (stub_tasks.Reporting(), {"halving": True}, "choose one of them"),
        *(
            (stub_tasks.Reporting(), {"prune": wrong}, "expected a percentage above 0 and below 100; 50 is the median")
            for wrong in (0, 100, float("nan"), True, "50")
        ),
    ],
)
def test_what_cannot_be_pruned_is_refused_before_anything_is_made(tmp_path, space, task, changes, message):
    with pytest.raises(InputError, match=message):
        Study(space, task, "random", run=tmp_path / "run", **{"prune": 50, **changes})
    assert not (tmp_path / "run").exists()
