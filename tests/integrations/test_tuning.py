"""A tuned search: equal budgets, the same trainings however it is run, and a verdict that follows from the scores."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from symact.commands.comparing import _read
from symact.commands.studies import export, view
from symact.errors import InputError, SymactError
from symact.program.loading import parse_grammar
from symact.records import Metric
from symact.report.document import document
from symact.report.leaderboard import leaderboard
from symact.report.live import Live
from symact.store import Store
from tests.execute import stub_tasks

pytest.importorskip("optuna")

from symact.execute.executor import ExecutorSettings
from symact.integrations.tune_log import FILE_NAME, TuneLog
from symact.integrations.tune_ranges import TuneRange, read_ranges
from symact.integrations.tune_result import Tuned, TuneResult, settings_text
from symact.integrations.tune_view import tuning_view
from symact.integrations.tuning import FEWEST, _own, begin, reopen
from symact.tasks import TASKS

SPACE = parse_grammar(stub_tasks.grammar_text()).space("wide")
EVALUATIONS = 72


def started(run, task=None, **changes):
    task = task or stub_tasks.Tunable()
    options = {"evaluations": EVALUATIONS, "seed": 3, "finalists": 2, "fresh": 4, **changes}
    return begin(SPACE, task, "evolution", run, ["rate"], **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An undisturbed search: its folder, and its result."""
    run = tmp_path_factory.mktemp("tuned") / "run"
    return run, started(run).run().document()


def rows(run):
    return TuneLog(run, writing=False).kept


def trainings(run):
    return {key: {**row, "seconds": 0} for key, row in rows(run).items() if key != "result"}


def test_every_function_is_tuned_by_equally_many_trainings_and_the_total_is_kept(whole):
    kept = [row for row in rows(whole[0]).values() if row["key"][:5] in ("searc", "tune/")]
    tuned = [row["expression"] for row in kept if row["key"].startswith("tune/")]
    assert len(kept) <= EVALUATIONS
    assert {tuned.count(expression) for expression in tuned} == {len(tuned) // len(set(tuned))}
    assert {"relu(x)"} < set(tuned)
    each, left = len(tuned) // len(set(tuned)), EVALUATIONS - len(kept)
    words = f"{len(kept)} of {EVALUATIONS} trainings: {EVALUATIONS // 2} to search, {len(tuned)} to tune"
    assert whole[1]["spent"].startswith(f"{words} {len(set(tuned))} functions {each} times each")
    assert (f"; {left} left over, too few for one more of each" in whole[1]["spent"]) == (left > 0)
    assert all(row["trainings"] == len(tuned) // len(set(tuned)) for row in whole[1]["functions"])


def test_a_lead_over_a_rival_that_was_badly_set_does_not_survive(whole):
    document = whole[1]
    assert document["leads"]["tuned"]["rival"] == "relu(x)"
    assert document["leads"]["untuned"]["low"] > 0
    assert document["leads"]["tuned"]["high"] < 0
    assert "turned round by tuning (rival: relu(x))" in document["verdict"]
    relu = next(row for row in document["functions"] if row["expression"] == "relu(x)")
    assert relu["settings"]["rate"] < 0.1
    assert relu["tuned_mean"] > 0.9 > relu["untuned_mean"]


@pytest.mark.parametrize("left", [0, 1, 8, 40, 77])
def test_a_search_that_was_killed_goes_on_to_the_same_trainings(whole, tmp_path, left):
    lines = (whole[0] / FILE_NAME).read_bytes().splitlines(keepends=True)
    (tmp_path / FILE_NAME).write_bytes(b"".join(lines[: 1 + left]) + lines[1 + left][:20])
    assert reopen(tmp_path, stub_tasks.Tunable()).run().document() == whole[1]
    assert trainings(tmp_path) == trainings(whole[0])


def test_workers_and_a_kill_change_nothing(whole, tmp_path):
    task = stub_tasks.named("SlowTunable")
    code = (
        "from tests.integrations.test_tuning import started, ExecutorSettings\n"
        f"started({str(tmp_path / 'run')!r}, {task!r}, where=ExecutorSettings(workers=2)).run("
        "lambda done, total, stage: print(done, flush=True))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if int(line) >= 30:
                process.kill()
                break
    assert 30 <= len(rows(tmp_path / "run")) < EVALUATIONS
    with pytest.raises(InputError, match="name it again with --task"):
        reopen(tmp_path / "run")
    reopen(tmp_path / "run", task, ExecutorSettings(workers=1)).run()
    assert trainings(tmp_path / "run") == trainings(whole[0])


def test_a_damaged_log_is_told_with_its_line(whole, tmp_path):
    text = (whole[0] / FILE_NAME).read_text().replace('"finished"', '"fin1shed"', 1)
    (tmp_path / FILE_NAME).write_text(text)
    with pytest.raises(InputError, match=rf"{FILE_NAME}:2: damaged"):
        reopen(tmp_path, stub_tasks.Tunable())


def test_a_log_of_other_proposals_is_refused(whole, tmp_path):
    log = TuneLog(tmp_path / "run", TuneLog(whole[0], writing=False).header)
    log.add({"key": "search/0/0", "expression": "cos(x)", "train": {}, "status": "finished", "score": 1, "reason": ""})
    log.close()
    with pytest.raises(InputError, match="begun with other versions"):
        reopen(tmp_path / "run", stub_tasks.Tunable()).run()


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        (["rate=1:2:3"], "expected KEY=LOW:HIGH"),
        (["rate=2:1"], "below the high end"),
        (["rate=0:1:log"], "above 0"),
        (["rate=true:3"], "expected KEY=LOW:HIGH"),
        (["rate=0.1"], "at least two values"),
        (["rate", "rate=1:2"], "named twice"),
        (["width"], "it declares rate"),
        (["width=1:2"], "it has one setting"),
    ],
)
def test_a_wrong_range_is_refused_before_anything_is_made(tmp_path, ranges, message):
    with pytest.raises(InputError, match=message):
        begin(SPACE, stub_tasks.Tunable(), "random", tmp_path / "run", ranges, evaluations=100)
    assert not (tmp_path / "run").exists()


FIXED = "processes=1,2", "workers=1:4", "checkpoints=a,b", "evaluation_batch=10:20", "subset=100:200", "compile=1,2"


@pytest.mark.parametrize("text", FIXED)
def test_what_says_how_a_training_is_run_or_judged_is_not_tuned(symact, tmp_path, text):
    arguments = ("search", "random", "--task", "digits-deep", "--tune", text, "--evaluations", "100", "--run", "run")
    code, _, err = symact(*arguments)
    said = err.splitlines()
    assert code == 2
    assert len(said) == 1
    assert said[0].startswith(f"symact: --tune {text}: ")
    assert said[0].endswith(f"give it by --train; tuned can be {', '.join(TASKS['digits-deep'].tunable)}")
    assert not (tmp_path / "run").exists()


def test_the_fewest_evaluations_are_told_in_the_help_and_in_the_refusal(symact, tmp_path):
    with pytest.raises(InputError, match=f"--evaluations {FEWEST - 1}: a tuned search takes at least {FEWEST}"):
        begin(SPACE, stub_tasks.Tunable(), "random", tmp_path / "run", ["rate"], evaluations=FEWEST - 1)
    assert f"{FEWEST} at least" in " ".join(symact("search", "--help")[1].split())


NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.text() | st.sampled_from(["adam", "true", "1", "1e3", "null", '"a"', "a,b", "a:b", " b"])
CHOICES = st.lists(NUMBERS | st.booleans() | NAMES, min_size=2, max_size=5, unique=True)
ENDS = st.lists(st.integers(1, 99) | st.floats(1e-9, 1e9), min_size=2, max_size=2, unique=True)


@given(CHOICES.map(lambda choices: TuneRange("rate", choices=tuple(choices))))
@example(TuneRange("augment", choices=(True, False)))
def test_choices_are_read_back_from_their_text(given_range):
    (read,) = read_ranges([given_range.text], {})
    assert read == given_range
    assert list(map(type, read.choices)) == list(map(type, given_range.choices))


@given(ENDS.map(sorted), st.booleans())
def test_a_range_is_read_back_from_its_text(ends, log):
    given_range = TuneRange("rate", *ends, log)
    assert read_ranges([given_range.text], {}) == (given_range,)


@pytest.mark.parametrize("name", TASKS)
def test_the_ranges_that_a_shipped_task_declares_hold_its_own_settings(name):
    task = TASKS[name].__new__(TASKS[name])  # without its data
    ranges, own = read_ranges(list(task.tunable), task.tunable), _own(task)
    assert ranges
    for range_ in ranges:
        assert range_.holds(own[range_.name]), range_.text
        assert range_.choices or range_.low < own[range_.name] < range_.high, range_.text


def test_a_task_without_weight_decay_tells_the_sampler_its_own_settings(tmp_path):
    search = begin(SPACE, "digits-deep", "random", tmp_path / "run", ["weight_decay", "rate"], evaluations=100)
    assert search._known_to_optuna({}) == {"weight_decay": 0.0, "rate": 1e-3}
    search.log.close()


def test_without_optuna_one_message_says_what_to_install(whole, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    for call in (lambda: started(tmp_path / "new"), lambda: reopen(whole[0], stub_tasks.Tunable())):
        with pytest.raises(InputError, match=r"^optuna is not installed .*: pip install 'symact\[tune\]'$"):
            call()
    assert not (tmp_path / "new").exists()


def verdict(found, rival):
    rows = [
        Tuned("f", "evolution", {}, 1.0, 1.0, 5, *found),
        Tuned("g", "baseline", {}, 1.0, 1.0, 5, *rival),
    ]
    return TuneResult(tuple(rows), Metric(), {}).verdict


HIGH, LOW, NOISY = (0.9, 0.91, 0.92, 0.9), (0.5, 0.51, 0.5, 0.52), (0.1, 0.99, 0.3, 0.8)


@pytest.mark.parametrize(
    ("found", "rival", "words"),
    [
        ((HIGH, HIGH), (LOW, LOW), "survives"),
        ((LOW, HIGH), (HIGH, LOW), "turned round"),
        ((NOISY, HIGH), (LOW, LOW), "does not survive"),
        ((HIGH, LOW), (LOW, HIGH), "does not lead at the task's own settings, and leads when both"),
        ((HIGH, ()), (LOW, LOW), "Nothing can be said"),
    ],
)
def test_the_verdict_follows_from_the_intervals(found, rival, words):
    assert words in verdict(found, rival)


def test_the_command_line_tunes_resumes_and_shows(tmp_path, whole):
    def symact(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "symact", *map(str, arguments)], capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout, done.stderr

    run = tmp_path / "run"
    arguments = ("search", "random", "--task", "digits-deep", "--tune", "rate", "--train", "epochs=0.1", "--run", run)
    few = "a tuned search takes at least 41: "
    for wrong, word in ((("9",), few), (("40",), few), (("60", "--prune", "50"), "--prune")):
        code, _, err = symact(*arguments, "--evaluations", *wrong)
        assert code == 2
        assert word in err.splitlines()[0]
    code, out, _ = symact(*arguments, "--evaluations", "50", "--fresh", "3", "--workers", "0", "--json")
    assert code == 0
    document = json.loads(out)
    assert {"verdict", "leads", "functions"} <= set(document)
    assert (document["task"], document["title"]) == ("digits-deep", "digits-deep (epochs=0.1)")
    assert symact("top", run, "--json")[1] == out
    assert symact("resume", run, "--workers", "0", "--json")[1] == out
    code, _, err = symact(*arguments, "--evaluations", "50")
    assert code == 2
    assert "symact resume" in err


@pytest.fixture(scope="module")
def half(whole, tmp_path_factory):
    """The same search, stopped in the middle of the tuning."""
    run = tmp_path_factory.mktemp("half")
    lines = (whole[0] / FILE_NAME).read_bytes().splitlines(keepends=True)
    (run / FILE_NAME).write_bytes(b"".join(lines[:60]))
    return run


def test_a_report_shows_each_function_once_at_its_own_best_settings(whole):
    view = tuning_view(whole[0])
    ranked, kept = leaderboard(view.trials, view.confirmations), list(rows(whole[0]).values())
    expected = whole[1]["functions"]
    assert len({trial.candidate for trial in view.trials}) == len(view.trials)
    assert {str(row.trial.candidate) for row in ranked[: len(expected)]} == {row["expression"] for row in expected}
    assert str(ranked[0].trial.candidate) == expected[0]["expression"]
    assert ranked[0].fresh_score == pytest.approx(expected[0]["tuned_mean"])
    assert view.notes[ranked[0].trial.number]["settings"] == settings_text(expected[0]["settings"])
    for trial in view.trials:
        own = [r for r in kept if r.get("expression") == str(trial.candidate) and r["key"][:4] in ("sear", "tune")]
        assert trial.score == max((r["score"] for r in own if r["score"] is not None), default=None)


def test_panels_have_the_verdict_the_climb_and_every_training(whole):
    shown = document([tuning_view(whole[0])], [lambda functions, seed: np.full((len(functions), 2), np.nan)])[
        "studies"
    ][0]
    lead, how = shown["panels"][:2]
    assert whole[1]["verdict"] in lead["text"]
    assert [row[0] for row in lead["charts"][0]["rows"]] == [row["expression"] for row in whole[1]["functions"]]
    climb, each, table = how["charts"]
    best = [value for series in climb["series"] for value in series["y"] if value is not None]
    assert len(best) == len(climb["x"]) == len(table["rows"])
    assert best == sorted(best)
    assert {series["name"] for series in each["series"]} == {row["expression"] for row in whole[1]["functions"]}
    assert all("rate=" in row[2] or row[2] == "the task's own" for row in table["rows"])
    assert shown["rows"][0]["settings"] == settings_text(whole[1]["functions"][0]["settings"])


def test_a_search_that_has_not_ended_is_shown_without_a_verdict_and_a_live_page_sees_it_grow(half):
    shown = view(half)
    assert "has not ended" in shown.panels[0].text
    assert not shown.confirmations
    before = Live([half], view).stamp()
    with (half / FILE_NAME).open("ab") as file:
        file.write(b"0")
    assert Live([half], view).stamp() != before


def test_the_winner_is_exported_with_its_settings_and_only_when_there_is_one(whole, half, tmp_path, capsys):
    export(str(whole[0]), tmp_path / "best.py", None)
    said, best = settings_text(whole[1]["functions"][0]["settings"]), whole[1]["functions"][0]["expression"]
    assert said in (tmp_path / "best.py").read_text().split('"""')[1]
    assert best in capsys.readouterr().out
    with pytest.raises(InputError, match="--site is for a search without --tune"):
        export(str(whole[0]), tmp_path / "site.py", None, 1)
    with pytest.raises(SymactError, match="symact resume"):
        export(str(half), tmp_path / "half.py", None)
    assert not (tmp_path / "half.py").exists()


def test_a_comparison_takes_the_best_that_a_tuned_search_found(whole):
    run = _read(str(whole[0]), 1)
    assert run.grammar.text == SPACE.grammar.text
    assert run.task.name == TuneLog(whole[0], writing=False).header["task"]["name"]
    assert str(run.found[0]) == next(r["expression"] for r in whole[1]["functions"] if r["origin"] != "baseline")


def test_what_reads_studies_alone_says_that_this_is_a_tuned_search(whole):
    with pytest.raises(InputError, match=r"holds no study .* but a tuned search"):
        Store.open(whole[0])
