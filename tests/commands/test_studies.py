"""`symact top`, `report` and `export` read a study and name one winner."""

from __future__ import annotations

import importlib.util
import json

import pytest
import torch

from symact.commands import studies
from symact.errors import InputError, SymactError
from symact.expr.tree import parse
from symact.program.loading import parse_grammar
from symact.records import Outcome, Trial
from symact.report.view import read_view
from symact.study import BASELINES, Study
from tests.execute import stub_tasks


@pytest.fixture
def run(symact, tiny, task, tmp_path):
    search = ("search", "random", "--grammar", tiny, "--task", task, "--evaluations", "10", "--run", "run")
    code, _, err = symact(*search, "--workers", "0")
    assert code == 0, err
    return tmp_path / "run"


@pytest.mark.usefixtures("run")
def test_top_shows_as_many_as_asked_and_all_for_zero(symact):
    counts = {}
    for shown in (1, 3, 0):
        code, out, _ = symact("top", "run", "--json", "-n", str(shown))
        assert code == 0
        trials = json.loads(out)["trials"]
        counts[shown] = len(trials)
        assert {"expression", "status", "score", "scores", "origin", "versus_relu"} <= trials[0].keys()
    assert (counts[1], counts[3]) == (1, 3)
    assert counts[0] == 10
    code, out, _ = symact("top", "run")
    assert code == 0
    assert out.startswith("random on quick: 10 functions")


def test_top_and_export_name_the_same_winner(symact, run):
    code, out, _ = symact("top", "run", "--json", "-n", "1")
    best = json.loads(out)["trials"][0]["expression"]
    assert str(studies.best_row(run).trial.candidate) == best
    code, out, _ = symact("export", "run", "--output", "best.py")
    assert (code, out) == (0, f"wrote best.py: {best}\n")


def test_a_report_is_written_into_the_run_folder_or_where_it_is_asked_for(symact, run, tmp_path):
    assert symact("report", "run")[:2] == (0, "wrote run/report.html\n")
    assert (run / "report.html").exists()
    assert symact("report", "run", "--output", "page.html")[0] == 0
    assert symact("report", "run", "--output", "page.pdf")[0] == 2
    assert not (tmp_path / "page.pdf").exists()


def test_a_view_has_the_settings_and_no_host_name(run):
    import platform

    view = read_view(run)
    facts = dict(view.facts)
    assert facts["optimizer"] == "random"
    assert facts["task"].startswith("quick (file, SHA-256 ")
    assert not platform.node() or platform.node() not in str(view.facts)


def test_without_a_study_or_a_finished_function_there_is_no_winner(tmp_path, symact, tiny):
    with pytest.raises(InputError, match="there is no study here"):
        studies.best_row(tmp_path)
    from symact.program.loading import load_grammar
    from symact.study import Study
    from tests.execute import stub_tasks

    with Study(load_grammar(tiny).space(), stub_tasks.Quick(), "random", tmp_path / "empty", confirm=0) as study:
        study.prepare()
    with pytest.raises(SymactError, match="no function has finished"):
        studies.best_row(tmp_path / "empty")


def test_an_export_of_nonsense_says_that_it_is_neither_folder_nor_expression(symact):
    code, _, err = symact("export", "no such thing(", "--output", "x.py")
    assert code == 2
    assert "no run folder, and no expression either" in err


class Learning(stub_tasks.Quick):
    """What site i learns of a parameter: 1 + i/10, or the same everywhere; a grammar has the winner alone."""

    sites, alike = 3, False

    def evaluate(self, make_activation, seed, budget=1.0):
        candidate = make_activation.candidate
        expressions = candidate if isinstance(candidate, tuple) else (candidate,) * self.sites
        learned = [
            {p.name: 1.5 if self.alike else 1 + (i + 1) / 10 for p in e.parameters} for i, e in enumerate(expressions)
        ]
        mine = any(e.parameters for e in expressions)
        return Outcome.finished(0.9 if mine else 0.1, constants=tuple(learned))


class Alike(Learning):
    alike = True


LEARNING = (
    'name = "l"\n[parameters]\nbeta = {init = 0.75}\n[unary]\nf = "x*sigmoid(beta*x)"\n[spaces]\nall = ["unary(x)"]\n'
)


def learned(task, tmp_path):
    space = parse_grammar(LEARNING).space()
    with Study(space, task, "random", run=tmp_path / "run", confirm=2, confirm_best=1) as study:
        study.run(len(BASELINES) + 1)


def module(path):
    spec = importlib.util.spec_from_file_location("exported", path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_an_export_has_what_each_site_learned(symact, tmp_path):
    learned(Learning(), tmp_path)
    code, out, _ = symact("export", "run", "--output", "best.py")
    assert (code, "site(1) to site(3)" in out) == (0, True)
    exported = module(tmp_path / "best.py")
    assert exported.Activation().beta.item() == 0.75, "as the search began"
    assert [exported.site(n).beta.item() for n in (1, 2, 3)] == pytest.approx([1.1, 1.2, 1.3])
    x = torch.linspace(-3, 3, 7)
    assert torch.allclose(exported.site(2)(x), x * torch.sigmoid(1.2 * x))
    exported.self_test()


@pytest.mark.parametrize("site", [1, 2, 3])
def test_one_site_may_be_chosen(symact, tmp_path, site):
    learned(Learning(), tmp_path)
    for output in ("best.py", "best.onnx"):
        assert symact("export", "run", "--output", output, "--site", str(site))[0] == 0
    exported = module(tmp_path / "best.py")
    assert exported.Activation().beta.item() == pytest.approx(1 + site / 10)
    assert not hasattr(exported, "SITES")


def test_sites_that_are_not_there_and_one_model_for_all_are_refused(symact, tmp_path):
    learned(Learning(), tmp_path)
    for arguments, message in (
        (("export", "run", "--output", "best.onnx"), "choose --site 1 to 3"),
        (("export", "run", "--output", "best.py", "--site", "4"), "it has sites 1 to 3"),
        (("export", "relu(x)", "--output", "best.py", "--site", "1"), "--site is for a run folder"),
    ):
        code, _, err = symact(*arguments)
        assert (code, message in err) == (2, True), err
    assert not list(tmp_path.glob("best.*"))


def test_sites_that_learned_the_same_are_one_function(symact, tmp_path):
    learned(Alike(), tmp_path)
    assert symact("export", "run", "--output", "best.onnx")[0] == 0
    assert symact("export", "run", "--output", "best.py")[0] == 0
    exported = module(tmp_path / "best.py")
    assert exported.Activation().beta.item() == 1.5
    assert not hasattr(exported, "site")


def test_a_candidate_with_a_function_per_site_is_exported_site_by_site():
    grammar = parse_grammar(LEARNING)
    candidate = (parse("f(x)", grammar), parse("tanh(x)"))
    trial = Trial(candidate, (Outcome.finished(0.5, constants=({"beta": 2.0}, {})),))
    assert studies._learned("run", trial, 1, 2) == [(candidate[0], {1: {"beta": 2.0}})]
    assert studies._learned("run", trial, 2, 2) == [(candidate[1], {2: {}})]
    assert studies._learned("run", trial, None, 2) == [(candidate[0], {1: {"beta": 2.0}}), (candidate[1], {2: {}})]


class Mixed(Learning):
    """The more functions the better."""

    def evaluate(self, make_activation, seed, budget=1.0):
        outcome, candidate = super().evaluate(make_activation, seed, budget), make_activation.candidate
        return Outcome.finished(
            len(set(candidate)) / 3 if isinstance(candidate, tuple) else 0.1, constants=outcome.constants
        )


def test_functions_of_groups_of_sites_are_a_file_each_with_what_their_sites_learned(symact, tmp_path):
    space = parse_grammar(LEARNING.replace("all", "own").replace("[unary]", '[unary]\ntanh = "tanh(x)"')).space()
    settings = {"site_groups": "1,3;2", "confirm": 0}
    with Study(space, Mixed(), "random", run=tmp_path / "run", **settings) as study:
        study.run(len(BASELINES) + 3)
        best = study.best()[0].candidate
    assert best[0] == best[2]
    assert best[0] != best[1]
    code, out, _ = symact("export", "run", "--output", "best.py")
    assert code == 0
    assert sorted(path.name for path in tmp_path.glob("best*")) == ["best-site-2.py", "best-sites-1_3.py"]
    own = module(tmp_path / "best-sites-1_3.py") if str(best[0]) == "f(x)" else module(tmp_path / "best-site-2.py")
    own.self_test()
    assert ("site(1), site(3) have" in out) == (str(best[0]) == "f(x)")


def test_the_leaderboard_as_comma_separated_values(symact, tiny, task):
    import csv
    import io

    search = ("search", "random", "--grammar", tiny, "--task", task, "--evaluations", "12", "--run", "run")
    assert symact(*search, "--workers", "0")[0] == 0
    code, out, _ = symact("top", "run", "--csv", "-n", "0")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    code, document, _ = symact("top", "run", "--json", "-n", "0")
    trials = json.loads(document)["trials"]
    assert [row["expression"] for row in rows] == [trial["expression"] for trial in trials]
    assert [float(row["score"]) for row in rows] == [trial["score"] for trial in trials]
    assert rows[0]["confirmed_score"]
    code, out, err = symact("top", "run", "--csv", "--json")
    assert (code, out) == (2, "")
    assert "choose one" in err
