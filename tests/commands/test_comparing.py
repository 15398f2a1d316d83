"""`symact compare` and `symact transfer`: a document, a table of 80 columns, one line where an argument is wrong."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from symact.commands import comparing
from symact.errors import InputError
from symact.execute.task_loading import describe
from symact.program.loading import load_grammar
from symact.store import Store, TaskSettings

LOSS = """
import hashlib
from symact import Outcome

class Regression:
    metric, direction, number_format, sites = "RMSE (mm)", "minimize", ".2f", 1

    def evaluate(self, make_activation, seed, budget=1.0):
        text = str(make_activation.candidate)
        if text == "exp(x)":
            return Outcome.finished(float("inf"))
        return Outcome.finished(len(text) + hashlib.sha256(f"{text}{seed}".encode()).digest()[0] / 1000)

class Set(Regression):
    def configure(self, settings):
        unknown = set(settings) - {"epochs", "rate"}
        assert not unknown, unknown
"""

HERE = ("--workers", "0")  # a worker takes two seconds to start; one test has one


@pytest.fixture
def loss(tmp_path):
    (tmp_path / "mine.py").write_text(LOSS)
    return "mine.py:Regression"


def test_the_document_has_what_is_promised(symact, loss):
    arguments = ("compare", "sin(x)", "-x", "exp(x)", "tanh(x)*sin(x)", "--task", loss, "--seeds", "3", "--run", "run")
    code, out, _ = symact(*arguments, *HERE, "--json")
    assert code == 0
    found = json.loads(out)
    assert (found["metric"], found["direction"], found["seeds"], found["against"]) == (
        "RMSE (mm)",
        "minimize",
        3,
        "relu(x)",
    )
    rows = found["functions"]
    assert [row["expression"] for row in rows] == ["-x", "sin(x)", "relu(x)", "tanh(x)*sin(x)", "exp(x)"]
    assert rows[0]["difference"] < 0 < rows[3]["difference"]
    assert [row["verdict"] for row in rows] == ["better", "better", "reference", "worse", ""]
    assert rows[2]["p"] is None
    assert rows[4]["status"] == "nonfinite"
    assert rows[4]["reason"] == "the task returned the score inf"
    assert all(len(row["scores"]) == 3 for row in rows[:4])


def test_the_table_fits_80_columns_and_resume_prints_it_again(symact, loss, monkeypatch):
    from symact.report import console

    monkeypatch.setattr(console.OUT, "width", 80)
    code, out, _ = symact("compare", "sin(x)", "exp(x)", "x*tanh(exp(x))", "--task", loss, "--run", "run", "--quiet")
    assert code == 0
    assert "RMSE (mm)" in out
    assert "lower is better" in out
    assert "exp(x): nonfinite: the task returned the score inf" in out
    table = out[: out.index("RMSE (mm), lower")]
    assert max(map(len, table.splitlines())) <= 80
    assert "x*tanh(exp(x))" in table
    code, again, _ = symact("resume", "run", "--task", loss, "--quiet")
    assert code == 0
    assert again.splitlines()[0] == out.splitlines()[0]
    code, top, _ = symact("top", "run")
    assert code == 0
    assert "given" in top


def test_functions_come_from_files_runs_and_spaces(symact, loss, tiny, tmp_path):
    (tmp_path / "some.txt").write_text("# mine\n\nsin(2*x)\n  tanh(x)\n")
    common = ("--task", loss, "--seeds", "1", "--json", *HERE)
    code, out, _ = symact("compare", "--from", "some.txt", *common)
    assert code == 0
    assert {row["expression"] for row in json.loads(out)["functions"]} == {"sin(2*x)", "tanh(x)", "relu(x)"}
    search = ("search", "random", "--grammar", tiny, "--task", loss, "--evaluations", "12", "--run", "run")
    assert symact(*search, *HERE)[0] == 0
    code, out, err = symact("compare", "cube(x)", "--from", "run", "--best", "2", "--from", "some.txt", *common)
    assert code == 0, err
    found = {row["expression"] for row in json.loads(out)["functions"]}
    assert found >= {"cube(x)", "sin(2*x)", "relu(x)"}
    code, out, _ = symact("compare", "--grammar", tiny, "--space", "all", *common)
    assert {row["expression"] for row in json.loads(out)["functions"]} == {"sine(x)", "cube(x)", "arc(x)", "relu(x)"}
    code, out, err = symact("transfer", "run", "--best", "1", *common, "--run", "other")
    assert code == 0, err
    found = {row["expression"] for row in json.loads(out)["functions"]}
    assert {"elu(x)", "gelu(x)", "mish(x)", "tanh(x)", "relu(x)"} <= found
    assert found & {"sine(x)", "cube(x)", "arc(x)"}
    with Store.open(tmp_path / "other") as store:
        assert store.settings.confirm == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to compare"),
        (["frob(x)"], "frob"),
        (["sin(x)", "--against", "relu("], "relu("),
        (["--from", "missing.txt"], "--from missing.txt: cannot be read"),
        (["--from", "empty.txt"], "--from empty.txt: there is no expression in it"),
        (["--from", "bad.txt"], "bad.txt:2: "),
        (["--from", "."], "there is no study here"),
        (["sin(x)", "--space", "all"], "--space all: name its grammar"),
        (["--atlas", "nowhere"], "--atlas nowhere: expected one of the lists common, aquasurf, coatnet, or of the"),
        (["sin(x)", "--task", "digit-deep"], "did you mean 'digits-deep'"),
        (["sin(x)", "--seeds", "0"], "--seeds"),
        (["sin(x)", "--grammar", "nowhere"], "no such grammar"),
        (["sin(x)", "--timeout", "3", "--workers", "0"], "need worker processes"),
    ],
)
def test_bad_input_is_told_in_one_line_and_leaves_nothing(symact, loss, tmp_path, arguments, message):
    (tmp_path / "empty.txt").write_text("# nothing\n")
    (tmp_path / "bad.txt").write_text("sin(x)\nfrob(x)\n")
    before = sorted(tmp_path.iterdir())
    task = [] if "--task" in arguments else ["--task", loss]
    code, out, err = symact("compare", *arguments, *task, "--run", "run")
    assert code == 2, err
    assert out == ""
    assert message in err.splitlines()[0]
    assert "Traceback" not in err
    assert sorted(tmp_path.iterdir()) == before


def test_published_functions_are_compared_each_once(symact, loss):
    code, out, err = symact("compare", "--atlas", "common", "--task", loss, "--seeds", "1", "--json", *HERE)
    assert code == 0, err
    rows = json.loads(out)["functions"]
    found = {row["expression"] for row in rows}
    assert {"atlas.silu(x)", "atlas.mish(x)", "atlas.softplus(x)"} <= found
    assert all(row["same_as"] is None for row in rows)


def test_a_folder_that_holds_a_study_is_refused_with_the_way_on(symact, loss):
    arguments = ("compare", "sin(x)", "--task", loss, "--seeds", "1", "--run", "run", *HERE)
    assert symact(*arguments)[0] == 0
    code, _, err = symact(*arguments)
    assert code == 2
    assert "symact resume run" in err


def test_where_nothing_finished_the_exit_code_says_so(symact, loss):
    code, _, err = symact("compare", "exp(x)", "--against", "exp(x)", "--task", loss, "--run", "run", *HERE)
    assert code == 1
    assert "no function finished" in err


def test_what_a_run_found_is_trained_as_in_the_run_unless_settings_are_given(symact, loss, tiny, tmp_path):
    one = ("--task", "mine.py:Set", *HERE)
    search = ("search", "random", "--grammar", tiny, "--evaluations", "12", *one)
    assert symact(*search, "--train", "epochs=3", "--train", "rate=0.5", "--run", "run")[0] == 0
    top = json.loads(symact("top", "run", "--json")[1])["trials"]
    assert top[0]["confirmed"]
    (best, *_) = [row["expression"] for row in top if row["origin"] != "baseline"]

    def compare(*arguments):
        code, out, err = symact("compare", "--from", "run", "--best", "1", *arguments, "--seeds", "1", "--json", *HERE)
        assert code == 0, err
        with Store.open(json.loads(out)["run"]) as store:
            return {row["expression"] for row in json.loads(out)["functions"]}, store.settings.task.train, err

    found, train, err = compare("--task", "mine.py:Set")
    assert found == {best, "relu(x)"}
    assert train == {"epochs": 3, "rate": 0.5}
    assert "run: its 1 best function, without baselines, on Set, trained as there (epochs=3, rate=0.5)" in err
    assert compare("--task", "mine.py:Set", "--train", "epochs=7")[1] == {"epochs": 7, "rate": 0.5}
    _, train, err = compare("--task", loss)
    assert train == {}
    assert "trained as there" not in err
    assert symact(*search, "--run", "other")[0] == 0
    both = ("compare", "--from", "run", "--from", "other", *one)
    code, _, err = symact(*both)
    assert code == 2
    assert "--from run and --from other were trained in different ways (epochs=3, rate=0.5; the task's own" in err
    code, _, err = symact("compare", "--from", "run", *HERE)
    assert code == 2
    assert "--from run: its task is the file task 'Set'; name it with --task FILE.py:Set" in err


def a_run(task: str) -> comparing._Run:
    return comparing._Run(task, load_grammar("aquasurf"), [], TaskSettings(kind="name", name=task), 0, "DIR", ())


def test_the_task_and_the_data_of_the_run_hold_where_none_are_named():
    nothing = {"train": {}, "data": None, "seed": None}
    task, options = comparing._as_there([a_run("digits-deep")], None, nothing, True)
    assert (task, options["data"]) == ("digits-deep", "DIR")
    task, options = comparing._as_there([a_run("digits-deep")], "fashion-cnn", nothing, True)
    assert (task, options["data"], options["seed"]) == ("fashion-cnn", None, 0)
    assert comparing._as_there([], None, nothing, True)[0] == "digits-shifted"
    with pytest.raises(InputError, match=r"different tasks \(digits-deep, fashion-cnn\): give --task"):
        comparing._as_there([a_run("digits-deep"), a_run("fashion-cnn")], None, nothing, True)


ONE_OF_MANY = re.compile(r"(?<![\d.,])1 (?!files? )[a-z]*(?: [a-z]+)?(?:ns|ds|gs|es|ls|rs|ts)\b")


def test_one_of_anything_is_told_in_the_singular(symact, loss, tiny):
    one = ("--task", loss, "--seeds", "1", *HERE)
    search = ("search", "random", "--grammar", tiny, "--evaluations", "1", "--run", "run", *one)
    table = (
        "bench",
        "build",
        "--grammar",
        tiny,
        "--task",
        loss,
        "--seeds",
        "1",
        "--workers",
        "0",
        "--output",
        "t.parquet",
    )
    commands = [
        search,
        ("resume", "run", "--evaluations", "1", "--task", loss, *HERE),
        ("top", "run"),
        ("compare", "relu(x)", *one),
        table,
        ("bench", "replay", "random", "--table", "t.parquet", "--evaluations", "1", "--repeats", "1"),
        ("search", "random", "--workers", "1", "--gpus", "8", "--task", loss),
    ]
    said = []
    for command in commands:
        _, out, err = symact(*command)
        said += (out + err).splitlines()
    text = "\n".join(said)
    for wanted in (
        "1 function of tiny/all",
        "1 function on",
        "1 seed each",
        "1 search of 1 evaluation",
        "1 worker with",
    ):
        assert wanted in text
    assert not ONE_OF_MANY.findall(text), [line for line in said if ONE_OF_MANY.search(line)]


def test_functions_of_runs_are_compared_on_seeds_by_which_no_run_chose_them(symact, loss, tiny, tmp_path):
    for seed, run in (("0", "first"), ("2", "second")):
        common = ("--grammar", tiny, "--evaluations", "10", "--task", "mine.py:Set", "--seed", seed, *HERE)
        assert symact("search", "random", *common, "--run", run)[0] == 0

    def compare(*arguments):
        given = ("--best", "1", "--task", "mine.py:Set", "--seeds", "1", "--json", *HERE)
        code, out, err = symact("compare", *arguments, *given)
        assert code == 0, err
        with Store.open(json.loads(out)["run"]) as store:
            return store.settings.seed, err

    assert compare("--from", "first", "--run", "compared")[0] == 1
    assert compare("--from", "compared")[0] == 2, "neither the search's seed nor that of the first comparison"
    assert compare("--from", "second")[0] == 3
    assert compare("--from", "first", "--from", "second")[0] == 3
    assert compare("exp(x)")[0] == 0
    seed, err = compare("--from", "second", "--seed", "2")
    assert seed == 2
    assert "--seed 2 is that of the search" in err


def test_a_task_of_ones_own_is_called_by_its_name_in_every_heading(symact, tiny, tmp_path):
    (tmp_path / "mine.py").write_text(
        LOSS.replace("class Set(", "class Named(Regression):\n    name = 'my\\n robot'\n\nclass Set(")
    )
    one = ("--task", "mine.py:Named", "--seeds", "1", *HERE)
    search = symact("search", "random", "--grammar", tiny, "--evaluations", "12", "--run", "run", *one)
    code, _, err = symact("report", "run", "--output", "page.html")
    assert code == 0, err
    page = (tmp_path / "page.html").read_text()
    for said in (search[1], symact("top", "run")[1], symact("compare", "sin(x)", *one)[1], page):
        assert "on my robot" in said
        assert "on Named" not in said
    assert symact("resume", "run", "--evaluations", "12", "--task", "mine.py:Named", *HERE)[0] == 0
    for said in (symact("top", "run", "--json")[1], symact("compare", "sin(x)", *one, "--json")[1]):
        document = json.loads(said)
        assert (document["task"], document["title"]) == ("Named", "my robot")


def test_a_name_that_ends_in_identity_is_an_operator_like_any_other(symact, loss, tmp_path):
    (tmp_path / "own.toml").write_text('name = "own"\n[unary]\nscaled_identity = "2*x"\n[spaces]\nall = ["unary(x)"]\n')
    common = ("--task", loss, "--seeds", "1", "--json", *HERE)
    given = {
        "bent_identity(x)": ("--grammar", "atlas"),
        "scaled_identity(x)": ("--grammar", "own.toml"),
        "identity(x)": (),
    }
    for function, grammar in given.items():
        code, out, err = symact("compare", function, *grammar, *common)
        assert code == 0, err
        assert {row["expression"] for row in json.loads(out)["functions"]} == {function, "relu(x)"}


def test_a_class_of_the_same_name_in_another_file_is_another_task(tmp_path, monkeypatch):
    said = list[str]()
    monkeypatch.setattr(comparing.console, "note", said.append)
    for name, text in (("same.py", LOSS), ("edited.py", LOSS + "\n# edited\n")):
        (tmp_path / name).write_text(text)
    stored = describe(f"{tmp_path / 'same.py'}:Set", {"epochs": 3})[0]
    run = replace(a_run("Set"), folder="r1", task=stored)

    def taken(file):
        said.clear()
        options = {"train": {}, "data": None, "seed": None}
        options = comparing._as_there([run], f"{tmp_path / file}:Set", options, False)[1]
        return options["train"], options["data"], options["seed"], "\n".join(said)

    *settings, told = taken("same.py")
    assert settings == [{"epochs": 3}, "DIR", 1]
    assert "trained as there (epochs=3)" in told
    assert "another file" not in told
    *settings, told = taken("edited.py")
    assert settings == [{}, None, 1], "nothing of the other task but that its seed has been used"
    assert "trained as there" not in told
    assert (
        f"r1: its task Set is of another file, or of this one before it was edited (SHA-256 {stored.sha256[:12]}"
        in told
    )
