"""What an optimizer says of its candidates is kept with them, decides nothing, and is absent where it says nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from symact.optimize.evolution import Evolution
from symact.program.loading import parse_grammar
from symact.store import Store
from symact.study import Study
from tests.execute import stub_tasks


def run(optimizer: object, folder: Path, evaluations: int = 30) -> Store:
    settings = {"initial": 6} if optimizer in ("evolution", "surrogate") else {}
    space = parse_grammar(stub_tasks.PAIRS).space()
    with Study(space, stub_tasks.Quick(), optimizer, folder, confirm=0, **settings) as study:
        study.run(evaluations)
    return Store.open(folder)


def test_a_child_names_the_trials_that_it_was_bred_from(tmp_path: Path):
    with run("evolution", tmp_path / "run") as store:
        notes, asked = store.notes(), {row.number: row for row in store.asked()}
        children = {n: note for n, note in notes.items() if note}
        assert children
        for number, note in children.items():
            assert 1 <= len(note["parents"]) <= 2
            assert all(asked[parent].batch < asked[number].batch for parent in note["parents"])
            assert note["operation"]


def test_a_policy_says_how_open_it_is_and_what_it_draws(tmp_path: Path):
    with run("rl", tmp_path / "run") as store:
        notes = [note for note in store.notes().values() if note]
        assert all(note["entropy"] >= 0 >= note["probability"] for note in notes)
        shares = [note["operators"] for note in notes if "operators" in note]
        assert shares
        assert all(sum(share.values()) == pytest.approx(1, abs=1e-2) for share in shares)
        assert set(shares[0]) <= {"tanh", "sin", "relu", "swish", "erf", "add", "mul"}


def test_a_surrogate_says_what_it_predicted(tmp_path: Path):
    with run("surrogate", tmp_path / "run") as store:
        values = [note["predicted"] for note in store.notes().values()]
        assert len(values) >= 8
        assert all(isinstance(value, float) for value in values)


def test_random_search_says_nothing_and_an_optimizer_of_ones_own_need_not_know(tmp_path: Path):
    class Silent(Evolution):
        name, explain = "silent", None

    for optimizer in ("random", Silent):
        with run(optimizer, tmp_path / str(optimizer)[-8:].strip("'>"), 12) as store:
            assert store.notes() == {}


def test_notes_are_the_same_for_the_same_seed(tmp_path: Path):
    with run("evolution", tmp_path / "a") as first, run("evolution", tmp_path / "b") as second:
        assert json.dumps(first.notes()) == json.dumps(second.notes())
