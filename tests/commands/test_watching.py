"""How a running study is told: what matters first, in words that a metric means."""

from __future__ import annotations

import pytest

from symact.commands.watching import fresh_folder, standing
from symact.expr.tree import parse
from symact.records import Direction, Metric, Outcome, Trial
from symact.store.running import Running
from symact.study.progress import Progress

LOSS = Metric("RMSE", Direction.minimize, "", ".2f")


def test_time_left_pace_best_and_failures_by_kind_are_told_in_this_order():
    best = Trial(parse("sin(x)"), (Outcome.finished(0.123),), direction=Direction.minimize)
    counts = {"finished": 7, "diverged": 2, "crashed": 1}
    progress = Progress("search", 10, 40, best, counts, best, 60.0, 10.0, 180.0)
    assert standing(progress, LOSS) == "3 min left, 10/min, best 0.12 sin(x), 2 diverged, 1 crashed"


def test_trainings_that_report_are_told_by_number():
    running = {11: Running("sin(x)", end=20, curve=((1, 0.2), (3, 0.456))), 12: Running("x", curve=((1, 0.9),))}
    progress = Progress("search", 10, 40, None, {}, None, 60.0, None, None, running)
    assert standing(progress, LOSS) == "#11 at step 3 of 20: 0.46 (+1)"


def test_before_anything_has_finished_nothing_is_made_up():
    assert standing(Progress("search", 0, 40, None, {}, None, 0.0, None, None), LOSS) == ""


@pytest.mark.parametrize(("quiet", "told"), [(True, ""), (False, "diverged")])
def test_quiet_tells_nothing_but_the_result(symact, tmp_path, tiny, quiet, told):
    (tmp_path / "mine.py").write_text(
        "from symact import Outcome\n"
        "class Mine:\n"
        "    def evaluate(self, make_activation, seed, budget=1.0):\n"
        "        if 'elu' in str(make_activation.candidate):\n"
        "            return Outcome.failed('diverged', 'too far')\n"
        "        return Outcome.finished(1.0)\n"
    )
    more = ["--quiet"] if quiet else []
    arguments = ("search", "random", "--grammar", tiny, "--task", "mine.py:Mine", "--evaluations", "10")
    code, out, err = symact(*arguments, "--workers", "0", "--run", "run", *more)
    assert code == 0, err
    assert (told in err) if told else err == ""
    assert ("symact export" in out) is not quiet
    assert "score" in out or "fresh" in out


def test_the_pace_is_that_of_this_run(tmp_path):
    from symact.program.loading import parse_grammar
    from symact.study import Study
    from tests.execute import stub_tasks

    space, seen = parse_grammar(stub_tasks.grammar_text()).space("main"), []
    study = Study(space, stub_tasks.Quick(), "random", confirm=0)
    study.run(10)
    study.run(20, seen.append)
    assert seen[0].per_minute is None, "what an earlier run did is no pace"
    done = [p for p in seen if p.per_minute is not None]
    assert done[-1].per_minute == pytest.approx(60 * 10 / done[-1].seconds, rel=0.5)


def test_folders_of_one_second_differ(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = set()
    for _ in range(20):
        folder = fresh_folder("compare", "mine.py:Task")
        folder.mkdir(parents=True)
        folders.add(folder.name)
    assert len(folders) == 20
    assert all(name.startswith("compare-mine-") for name in folders)
