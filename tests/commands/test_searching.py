"""`symact search` and `symact resume`: what they say beside the leaderboard."""

from __future__ import annotations

import inspect
import json
import re
import shutil

import pytest

from symact.commands.studies import _learned, _site_count
from symact.errors import InputError
from symact.optimize import OPTIMIZERS
from symact.store import Store
from symact.study import Study
from tests.execute import stub_tasks


def test_a_space_that_is_used_up_is_told_in_one_line(symact, tiny, task):
    code, out, err = symact(
        "search", "random", "--grammar", tiny, "--task", task, "--evaluations", "30", "--run", "run", "--json"
    )
    assert code == 0
    assert "the space is used up: 12 of 30 functions evaluated" in err
    assert len(json.loads(out)["trials"]) == 10
    code, _, err = symact("resume", "run", "--task", task, "--evaluations", "11", "--json")
    assert code == 0
    assert "used up" not in err


def test_a_search_that_got_what_it_was_asked_for_does_not_say_so(symact, tiny, task):
    code, _, err = symact(
        "search", "random", "--grammar", tiny, "--task", task, "--evaluations", "10", "--run", "run", "--json"
    )
    assert code == 0
    assert "used up" not in err


def test_an_unknown_optimizer_is_told_in_the_words_of_the_command_line(symact, tiny, task, tmp_path):
    code, _, err = symact("search", "gradient", "--grammar", tiny, "--task", task, "--run", "run")
    assert code == 2
    assert err.startswith("symact: unknown optimizer 'gradient'; known are random, evolution")
    assert "optimizer=" not in err
    assert not (tmp_path / "run").exists()


def test_a_stored_optimizer_that_is_nobodys_is_told_with_its_remedy(task, tmp_path, symact, tiny):
    from symact.optimize import OPTIMIZERS
    from symact.program.loading import load_grammar

    class Mine(OPTIMIZERS["random"]):
        name = "mine"

    with Study(load_grammar(tiny).space(), task, Mine, run=tmp_path / "run", confirm=0) as study:
        study.prepare()
    with pytest.raises(InputError, match=r"an optimizer of its own, 'mine' .* Study\.resume\(run, optimizer="):
        Study.resume(tmp_path / "run", task=task)
    assert Study.resume(tmp_path / "run", 9, task, optimizer=Mine).evaluations == 9


def test_hopeless_trainings_are_stopped_and_told(symact, tmp_path):
    arguments = ("--task", stub_tasks.named("Reporting"), "--run", "run", "--prune", "50", "--evaluations", "40")
    assert symact("search", "random", *arguments, "--json", "-q")[0] == 0
    code, out, _ = symact("top", "run", "-n", "0", "--json")
    assert code == 0
    rows = json.loads(out)["trials"]
    pruned = [row for row in rows if row["status"] == "pruned"]
    assert pruned
    assert all(row["score"] is None and "was needed" in row["reason"] for row in pruned)
    assert rows[: -len(pruned)] == [row for row in rows if row["status"] == "finished"], "what was stopped ranks last"
    assert f"{len(pruned)} pruned" in symact("top", "run")[1]


@pytest.mark.parametrize(("wrong", "word"), [(("--prune", "0"), "prune"), (("--prune", "50", "--halving"), "halving")])
def test_a_wrong_prune_is_one_line(symact, wrong, word):
    code, _, err = symact("search", "random", "--task", "digits-deep", *wrong)
    assert code == 2
    assert word in err.splitlines()[0]


def test_what_was_promoted_does_not_count_as_evaluated(symact, task, tmp_path):
    arguments = ("--grammar", "aquasurf", "--task", task, "--run", "run", "--halving", "--json", "--workers", "0")
    assert symact("search", "random", "--evaluations", "20", *arguments)[0] == 0
    with Store.open(tmp_path / "run") as store:
        assert len(store.trials()) > 22, "nobody was promoted, so this test shows nothing"
    code, _, err = symact("resume", "run", "--task", task, "--evaluations", "22", "--json", "--workers", "0")
    assert code == 0
    assert "evaluated already" not in err


BUGGY = """
import symact

class Typo:
    def evaluate(self, make_activation, seed, budget=1.0):
        return symact.Outcome.finishd(score=1.0)

class Quits:
    def evaluate(self, make_activation, seed, budget=1.0):
        raise SystemExit(0)

class Wordless:
    def evaluate(self, make_activation, seed, budget=1.0):
        raise type("Mute", (Exception,), {"__str__": lambda self: 1 / 0})()

class Signature:
    def evaluate(self, make_activation):
        return symact.Outcome.finished(score=1.0)

class Returns:
    def evaluate(self, make_activation, seed, budget=1.0):
        return 0.5

class NoMetrics:
    def evaluate(self, make_activation, seed, budget=1.0):
        return symact.Outcome.finished(score=1.0, log="x" * 9_000_000)

class Diverges:
    def evaluate(self, make_activation, seed, budget=1.0):
        return symact.Outcome.failed("diverged", "the loss is 7e9")

class Infinite:
    def evaluate(self, make_activation, seed, budget=1.0):
        return symact.Outcome.finished(score=float("inf"))

class NoData:
    def __init__(self, data=None):
        self.data = data
    def evaluate(self, make_activation, seed, budget=1.0):
        if self.data is None:
            raise symact.errors.InputError("the data is not there; give --data DIR")
        return symact.Outcome.finished(score=float(len(str(make_activation.candidate))))

class Choosy:
    def evaluate(self, make_activation, seed, budget=1.0):
        text = str(make_activation.candidate)
        if "sin" in text:
            raise symact.errors.InputError("no sines, please")
        if "x**3" in text or "cube" in text:
            raise ValueError("no cubes")
        return symact.Outcome.finished(score=float(len(text)))
"""
PREFLIGHT = {  # task -> what is said of ReLU before anything is made
    "Typo": r"AttributeError: type object 'Outcome' has no attribute 'finishd' \(buggy.py:6\)",
    "Quits": r"SystemExit: 0 \(buggy.py:10\)",
    "Wordless": r"Mute: .*\(buggy.py:14\)",
    "Signature": "TypeError: .*unexpected keyword argument 'seed'",
    "Returns": "evaluate returned float 0.5; it must return a symact.Outcome",
    "NoMetrics": "9,000,0.. characters; at most 8,000,000 are kept",
}


@pytest.fixture
def buggy(tmp_path):
    (tmp_path / "buggy.py").write_text(BUGGY)
    return lambda name, *more: ("search", "random", "--task", f"buggy.py:{name}", "--run", "run", *more)


@pytest.mark.parametrize("workers", ["0", "1"])
@pytest.mark.parametrize("name", PREFLIGHT)
def test_a_task_that_does_not_work_is_told_with_its_line_before_anything_is_made(
    symact, buggy, tiny, tmp_path, name, workers
):
    if workers == "1" and name not in ("Typo", "Quits"):
        pytest.skip("the same in a worker, and slow")
    before = sorted(tmp_path.iterdir())
    code, out, err = symact(*buggy(name, "--grammar", tiny, "--workers", workers))
    assert (code, out) == (1, "")
    assert re.search(f"symact: the task '{name}' does not work: relu\\(x\\) crashed: .*{PREFLIGHT[name]}", err), err
    assert len(err.splitlines()) == 1
    assert sorted(path for path in tmp_path.iterdir() if path.name != "__pycache__") == before


def test_missing_data_leaves_no_folder_and_the_corrected_command_works(symact, buggy, tiny, tmp_path):
    command = buggy("NoData", "--grammar", tiny, "--evaluations", "9", "--workers", "0")
    code, _, err = symact(*command)
    assert (code, err) == (2, "symact: the data is not there; give --data DIR\n")
    assert not (tmp_path / "run").exists()
    assert symact(*command, "--data", ".")[0] == 0


@pytest.mark.parametrize(("name", "reason"), [("Diverges", "diverged: the loss is 7e9"), ("Infinite", "the score inf")])
def test_a_search_stops_when_all_baselines_fail(symact, buggy, tiny, tmp_path, name, reason):
    code, _, err = symact(*buggy(name, "--grammar", tiny, "--workers", "0"))
    assert code == 1
    assert "all 9 baselines failed, so the search was stopped; elu(x)" in err
    assert reason in err
    assert err.count("relu(x): ") == 1, "the first failure of a kind is told once"
    with Store.open(tmp_path / "run") as store:
        assert len(store.trials()) == 9
    code, _, err = symact("resume", "run", "--task", f"buggy.py:{name}", "--workers", "0")
    assert code == 1
    assert "all 9 baselines failed" in err


def test_what_fails_is_told_once_of_each_kind_and_listed_with_its_reason(symact, buggy, tiny, tmp_path):
    code, out, err = symact(*buggy("Choosy", "--grammar", tiny, "--evaluations", "11", "--workers", "0"))
    assert code == 0
    assert "sine(x): crashed: InputError: no sines, please" in err, "an InputError of one candidate stops nobody"
    assert "cube(x): crashed: ValueError: no cubes (buggy.py:" in err
    assert out.count("versus ReLU") == 2, "the leaderboard is printed once, with one line below that explains it"
    assert "2 failed: 2 crashed (-n 0 lists them" in out
    code, out, _ = symact("top", "run", "-n", "0")
    assert code == 0
    assert re.search(r"sine\(x\) +crashed +InputError: no sines, please", out)
    assert re.search(r"cube\(x\) +crashed +ValueError: no cubes", out)


def test_what_was_tried_before_the_study_was_made_is_not_trained_again(symact, tiny, tmp_path):
    (tmp_path / "counts.py").write_text(
        "import pathlib, symact\n"
        "class Counts:\n"
        "    def evaluate(self, make_activation, seed, budget=1.0):\n"
        "        with pathlib.Path('log').open('a') as log:\n"
        "            log.write(f'{make_activation.candidate} {seed} {budget}\\n')\n"
        "        return symact.Outcome.finished(score=float(len(str(make_activation.candidate))))\n"
    )
    for more in ((), ("--halving", "--seeds", "3")):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        (tmp_path / "log").unlink(missing_ok=True)
        command = (
            "search",
            "random",
            "--grammar",
            tiny,
            "--task",
            "counts.py:Counts",
            "--run",
            "run",
            "--workers",
            "0",
        )
        assert symact(*command, "--evaluations", "11", *more)[0] == 0
        trained = (tmp_path / "log").read_text().splitlines()
        assert len(trained) == len(set(trained)), "something was trained twice"
        assert any(line.startswith("relu(x)") for line in trained)


NOT_SETTINGS = {
    "population=abc": "population takes a whole number, not 'abc'",
    "population=3.5": "population takes a whole number, not 3.5",
    "population=true": "population takes a whole number, not True",
    "population=null": "population takes a whole number, not None",
    "population=[1]": r"population takes a whole number, not \[1\]",
    "population=1e30": "population takes a whole number, not 1e",
    "population=99999999999999999999": "population takes a whole number, not 9999",
    "crossover=much": "crossover takes a number, not 'much'",
    "crossover=false": "crossover takes a number, not False",
    "crossover=NaN": "crossover takes a number, not nan|settings",
    "crossover=1e999": "crossover takes a number, not inf|settings",
    "finite=1": "finite takes true or false, not 1",
    "finite=yes": "finite takes true or false, not 'yes'",
    "algorithm=3": "algorithm takes a name, not 3",
    "mutations=3": "mutations takes a table of numbers, .*not 3",
    'mutations={"point":"x"}': "mutations takes a table of numbers",
    "seed=3": "has no setting 'seed'",
    "space=x": "has no setting 'space'",
    "workers=3": "has no setting 'workers'",
    "run=elsewhere": "has no setting 'run'",
    "self=1": "has no setting 'self'",
    "features=1": "has no setting 'features'",
    "popultion=3": "has no setting 'popultion'; it has algorithm, population",
}


@pytest.mark.parametrize("setting", NOT_SETTINGS)
def test_a_wrong_setting_is_named_with_what_it_takes(symact, tiny, task, tmp_path, setting):
    command = ("search", "evolution", "--grammar", tiny, "--task", task, "--run", "run", "--set", setting)
    code, out, err = symact(*command)
    assert (code, out) == (2, "")
    assert re.search(NOT_SETTINGS[setting], err), err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


NOT_NUMBERS = [
    ("--evaluations", "9223372036854775808"),
    ("--evaluations", "1" + "0" * 400),
    ("--evaluations", "-1"),
    ("--seeds", "9223372036854775808"),
    ("--seeds", "1001"),
    ("--seed", "9223372036854775808"),
    ("--seed", "-1"),
    ("--batch", "18446744073709551616"),
    ("--batch", "1" + "0" * 30),
    ("--workers", "9223372036854775808"),
    ("--workers", "100000"),
    ("--timeout", "nan"),
    ("--timeout", "inf"),
    ("--timeout", "1e999"),
    ("--memory", "nan"),
    ("--memory", "inf"),
    ("--memory", "1e300"),
    ("--evaluations", "3.5"),
    ("--evaluations", "many"),
    ("--evaluations", "0x10"),
]


@pytest.mark.parametrize("option", NOT_NUMBERS, ids=lambda option: " ".join(option)[:40])
def test_a_number_that_cannot_be_kept_is_refused_before_anything_is_made(symact, tiny, task, tmp_path, option):
    code, out, err = symact("search", "random", "--grammar", tiny, "--task", task, "--run", "run", *option)
    assert (code, out) == (2, "")
    assert option[0].removeprefix("--") in err or "repeats" in err
    assert "Traceback" not in err
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_replaced_while_a_search_runs_does_not_lend_its_leaderboard(symact, tiny, tmp_path):
    """The task itself puts another study in the folder's place, at its twelfth training."""
    (tmp_path / "swaps.py").write_text(
        "import pathlib, shutil, symact\n"
        "class Swaps:\n"
        "    count = 0\n"
        "    def evaluate(self, make_activation, seed, budget=1.0):\n"
        "        Swaps.count += pathlib.Path('run/study.db').exists()\n"
        "        if Swaps.count == 12:\n"
        "            shutil.rmtree('run')\n"
        "            shutil.copytree('other', 'run')\n"
        "        return symact.Outcome.finished(score=float(len(str(make_activation.candidate))))\n"
    )
    command = (
        "search",
        "random",
        "--grammar",
        tiny,
        "--task",
        "swaps.py:Swaps",
        "--workers",
        "0",
        "--evaluations",
        "9",
    )
    assert symact(*command, "--run", "other")[0] == 0
    code, out, err = symact(*command, "--run", "run")
    assert code == 1
    assert "removed or replaced while this study was running" in err
    assert "score" not in out
    with Store.open(tmp_path / "run-saved") as store:
        assert store.trials()


def test_settings_of_the_training_hold_in_the_search_and_after_a_resume(symact, tmp_path):
    arguments = ("--task", "ood-polynomial", "--train", "steps=2", "--run", "run", "--workers", "0", "--json")
    assert symact("search", "random", "--grammar", "first", "--evaluations", "14", *arguments)[0] == 0
    assert symact("resume", "run", "--evaluations", "15", "--workers", "0", "--json")[0] == 0
    with Store.open(tmp_path / "run") as store:
        finished = [outcome for trial in store.trials() for outcome in trial.outcomes if outcome.score is not None]
    assert len(finished) > 13
    assert {outcome.metrics["steps"] for outcome in finished} == {2}
    code, _, err = symact("search", "random", "--task", "image-fit", "--train", "epochs=2", "--run", "other")
    assert code == 2
    assert err == "symact: task image-fit has no setting 'epochs'; it has steps, rate, weight_decay, clip\n"


def test_a_search_per_site_finds_a_function_for_each_and_goes_on_after_a_stop(symact, tmp_path):
    arguments = ("--task", "ood-polynomial", "--train", "steps=1", "--run", "run", "--workers", "0", "--json")
    grammar = ("--grammar", "aquasurf", "--space", "bench")
    assert symact("search", "evolution", "--per-site", *grammar, "--evaluations", "18", *arguments)[0] == 0
    assert symact("resume", "run", "--evaluations", "24", "--workers", "0", "--json")[0] == 0
    with Store.open(tmp_path / "run") as store:
        trials = [trial for trial in store.trials() if trial.origin == "evolution"]
    assert len(trials) > 8
    assert {len(trial.candidate) for trial in trials} == {2}
    assert {trial.status.value for trial in trials} <= {"finished", "diverged", "nonfinite"}
    assert symact("report", "run", "--output", "page.html")[0] == 0
    assert symact("export", "run", "--site", "2", "--output", "two.py")[0] == 0
    with Store.open(tmp_path / "run") as store:
        relu = next(trial for trial in store.trials() if str(trial.candidate) == "relu(x)")
    [(function, learned)] = _learned("run", relu, 2, _site_count(tmp_path / "run"))
    assert (str(function), learned) == ("relu(x)", {2: {}}), "what stands at all sites stands at each"
    with pytest.raises(InputError, match="it has sites 1 to 2"):
        _learned("run", relu, 3, _site_count(tmp_path / "run"))
    with pytest.raises(InputError, match=r"relu.x. is the same at all sites; leave out --site"):
        _learned("run", relu, 1, 0)


@pytest.mark.parametrize("optimizer", ["rl", "surrogate"])
def test_groups_of_sites_share_a_function_in_search_resume_top_report_export_and_comparison(
    symact, tmp_path, optimizer
):
    there = ("--task", "digits-deep", "--train", "epochs=1", "--workers", "0", "--json")
    chosen = ("--grammar", "first", "--site-groups", "1-3,5;rest", "--set", "initial=2", "--run", "run")
    chosen = tuple(part for part in chosen if optimizer == "surrogate" or part not in ("--set", "initial=2"))
    assert symact("search", optimizer, *chosen, *there, "--evaluations", "12")[0] == 0
    assert symact("resume", "run", "--evaluations", "14", "--workers", "0", "--json")[0] == 0
    with Store.open(tmp_path / "run") as store:
        found = [trial.candidate for trial in store.trials() if trial.origin == optimizer]
        assert store.settings.optimizer_settings["sites"] == [[1, 2, 3, 5], [4, 6, 7, 8]]
    assert len(found) > 4
    for candidate in found:
        assert len({candidate[site - 1] for site in (1, 2, 3, 5)}) == 1
        assert len({candidate[site - 1] for site in (4, 6, 7, 8)}) == 1
    rows = json.loads(symact("top", "run", "-n", "0", "--json")[1])["trials"]
    own = [row for row in rows if row["origin"] == optimizer and row["sites"]]
    assert own
    assert all(row["shown"].startswith("1-3, 5: ") and " ; 4, 6-8: " in row["shown"] for row in own)
    again = symact("compare", own[0]["shown"], "--from", "run", "--best", "1", *there, "--seeds", "1", "--run", "other")
    assert again[0] == 0, again[2]
    assert any(row["expression"] == own[0]["expression"] for row in json.loads(again[1])["functions"])
    code, _, err = symact("compare", "relu(x) ; tanh(x)", *there, "--run", "third")
    assert (code, "it has functions for 2 sites, and the task digits-deep has 8" in err) == (2, True)


def test_a_surrogate_begins_with_what_another_run_learned_on_another_task(symact, tmp_path):
    there = ("--grammar", "first", "--workers", "0", "--json", "--evaluations", "14")
    assert symact("search", "random", *there, "--task", "ood-polynomial", "--train", "steps=2", "--run", "run")[0] == 0
    again = ("--task", "ood-harmonic", "--train", "steps=2", "--warm-start", "run")
    assert symact("search", "surrogate", *there, *again, "--run", "warm")[0] == 0
    with Store.open(tmp_path / "warm") as store:
        assert len(store.settings.optimizer_settings["warm_start"]) > 5
        own = [trial for trial in store.trials() if trial.origin == "surrogate"]
        assert own
        assert all("predicted" in store.notes()[trial.number] for trial in own), "not one is drawn at random"
    for arguments, message in (
        (("surrogate", *again[:-1], "nowhere"), "--warm-start nowhere: there is no study here"),
        (("evolution", *again), "--warm-start is for the optimizer surrogate, not for evolution"),
        (("surrogate", *again, "--set", "warm_start=[]"), "--warm-start and --set warm_start: choose one"),
    ):
        code, _, err = symact("search", *arguments, *there, "--run", "third")
        assert (code, message in err) == (2, True), err


def test_an_optimizer_of_one_function_says_so_when_it_is_asked_for_one_per_site(symact):
    code, _, err = symact("search", "mixture", "--per-site", "--task", "ood-polynomial", "--run", "run")
    assert code == 2
    assert err == (
        "symact: optimizer 'mixture' looks for one function for all sites; for functions of their own there are "
        "random, evolution, rl, surrogate\n"
    )
    code, _, err = symact("search", "rl", "--site-groups", "1", "--task", "ood-polynomial", "--run", "run")
    assert code == 2
    assert err == "symact: --site-groups: site 2 of 2 is in no group; add a group for it, or ;rest\n"


OWN = """
import symact


class Own:
    rate = 0.01

    def configure(self, settings):
        self.__dict__.update(settings)

    def evaluate(self, make_activation, seed, budget=1.0):
        return symact.Outcome.finished(self.rate + float(len(str(make_activation.candidate))))
"""


def test_a_text_in_the_place_of_a_number_is_told_with_the_setting_and_the_remedy(symact, tiny, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    there = ("search", "random", "--grammar", tiny, "--task", "own.py:Own", "--run", "run", "--workers", "0")
    code, _, err = symact(*there, "--train", "rate=fast")
    assert code == 2
    assert err.startswith("symact: task Own: --train rate=fast: the task's own rate is 0.01, so give a number. ")
    assert len(err.splitlines()) == 1
    assert symact(*there, "--train", "rate=0.5", "--evaluations", "10")[0] == 0


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    ("option", "setting"),
    [(("--warm-start", "nowhere"), "warm_start"), (("--per-site",), "sites"), (("--site-groups", "1;rest"), "sites")],
)
def test_an_option_that_an_optimizer_does_not_take_names_those_that_do(symact, tmp_path, optimizer, option, setting):
    able = {name for name, cls in OPTIMIZERS.items() if setting in inspect.signature(cls).parameters}
    if optimizer in able and setting == "sites":
        return  # it would begin
    code, out, err = symact("search", optimizer, "--grammar", "first", "--task", "digits-deep", "--run", "run", *option)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert f"setting {setting!r}" not in err
    if optimizer in able:
        assert "nowhere: there is no study here" in err
    else:
        assert all(name in err for name in (optimizer, *able))
    assert not (tmp_path / "run").exists()
