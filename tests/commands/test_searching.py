"""`symact search` and `symact resume`: what they say beside the leaderboard."""

from __future__ import annotations

import json

import pytest

from symact.errors import InputError
from symact.store import Store
from symact.study import Study


def test_a_space_that_is_used_up_is_told_in_one_line(symact, tiny, task):
    code, out, err = symact(
        "search", "random", "--grammar", tiny, "--task", task, "--evaluations", "30", "--run", "run", "--json"
    )
    assert code == 0
    assert "the space is used up: 11 of 30 functions were evaluated" in err
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
    from symact.expr.grammar import load_grammar
    from symact.optimize import OPTIMIZERS

    class Mine(OPTIMIZERS["random"]):
        name = "mine"

    Study(load_grammar(tiny).space(), task, Mine, run=tmp_path / "run", confirm=0).close()
    with pytest.raises(InputError, match=r"an optimizer of its own, 'mine' .* Study\.resume\(run, optimizer="):
        Study.resume(tmp_path / "run", task=task)
    assert Study.resume(tmp_path / "run", 9, task, optimizer=Mine).evaluations == 9


def test_what_was_promoted_does_not_count_as_evaluated(symact, task, tmp_path):
    arguments = ("--grammar", "aquasurf", "--task", task, "--run", "run", "--halving", "--json")
    assert symact("search", "random", "--evaluations", "20", *arguments)[0] == 0
    with Store.open(tmp_path / "run") as store:
        assert len(store.trials()) > 22, "nobody was promoted, so this test shows nothing"
    code, _, err = symact("resume", "run", "--task", task, "--evaluations", "22", "--json")
    assert code == 0
    assert "evaluated already" not in err
