"""`symact top`, `report` and `export` read a study and name one winner."""

from __future__ import annotations

import json

import pytest

from symact.commands import studies
from symact.errors import InputError, SymactError


@pytest.fixture
def run(symact, tiny, task, tmp_path):
    code, _, err = symact("search", "random", "--grammar", tiny, "--task", task, "--evaluations", "10", "--run", "run")
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
    assert out.startswith("random on Quick: 10 functions")


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

    view = studies.view(run)
    facts = dict(view.facts)
    assert facts["optimizer"] == "random"
    assert facts["task"].startswith("Quick (file, SHA-256 ")
    assert not platform.node() or platform.node() not in str(view.facts)


def test_without_a_study_or_a_finished_function_there_is_no_winner(tmp_path, symact, tiny):
    with pytest.raises(InputError, match="there is no study here"):
        studies.best_row(tmp_path)
    from symact.expr.grammar import load_grammar
    from symact.study import Study
    from tests.execute import stub_tasks

    Study(load_grammar(tiny).space(), stub_tasks.Quick(), "random", tmp_path / "empty", confirm=0).close()
    with pytest.raises(SymactError, match="no function has finished"):
        studies.best_row(tmp_path / "empty")


def test_an_export_of_nonsense_says_that_it_is_neither_folder_nor_expression(symact):
    code, _, err = symact("export", "no such thing(", "--output", "x.py")
    assert code == 2
    assert "no run folder, and no expression either" in err
