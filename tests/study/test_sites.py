"""`--site-groups`: what a user writes, as groups of site numbers, and the one line that says what is wrong with it."""

from __future__ import annotations

import pytest
import torch

from symact.errors import InputError
from symact.records import Outcome
from symact.study import Study
from symact.study.comparing import compare
from symact.study.sites import grouped, sites_to_search
from symact.tasks import TASKS

NAMES = ["stem.act", "layer1.act1", "layer1.act2", "layer2.act", "head"]


@pytest.mark.parametrize(
    ("written", "groups"),
    [
        ("1,2;3-5", [[1, 2], [3, 4, 5]]),
        ("4;rest", [[1, 2, 3, 5], [4]]),
        (" 2 - 3 ; rest , 5 ", [[1, 4, 5], [2, 3]]),
        ("layer1.*;rest", [[1, 4, 5], [2, 3]]),
        ("*.act;*.act[12],head", [[1, 4], [2, 3, 5]]),
        ("1-5", [[1, 2, 3, 4, 5]]),
        ("1;2;3;4;5", [[1], [2], [3], [4], [5]]),
        ([[1, 2, 3], [4, "head"]], [[1, 2, 3], [4, 5]]),
        ([["1-3"], ["layer2.act,5"]], [[1, 2, 3], [4, 5]]),
    ],
)
def test_groups_are_numbers_ranges_patterns_and_the_rest(written, groups):
    assert grouped(written, 5, lambda: NAMES) == groups


@pytest.mark.parametrize(
    "written", ["1,2;3-5", "4;rest", " 2 - 3 ; rest , 5 ", "layer1.*;rest", "1-5", "12;rest", "1;;2"]
)
def test_a_list_of_texts_is_what_the_texts_are_on_the_command_line(written):
    def read(groups):
        try:
            return grouped(groups, 13, lambda: NAMES + [f"more{n}" for n in range(8)])
        except InputError as error:
            return str(error)

    assert read(written.split(";")) == read(tuple(written.split(";"))) == read(written)


@pytest.mark.parametrize("written", [3, [1, 2], [["1"], 2], [None], b"1;2", {1: 2}])
def test_groups_that_are_no_lists_are_refused(written):
    with pytest.raises(InputError, match=r"groups are a text such as .*, or lists such as"):
        grouped(written, 2, lambda: None)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("1,2;4", "sites 3, 5 of 5 are in no group; add a group for them, or ;rest"),
        ("1-3;3-5", "site 3 is in two groups"),
        ("1-6", "1-6: the task has sites 1 to 5"),
        ("0;rest", "0: the task has sites 1 to 5"),
        ("3-2;rest", "3-2: the task has sites 1 to 5"),
        ("body*;rest", "no site is called 'body*'; the sites are 1 (stem.act), 2 (layer1.act1)"),
        ("1-5;rest", "the group rest has no site left"),
        ("1;;rest", "a group is empty"),
        ("rest;rest", "rest stands in two groups"),
        ("", "a group is empty"),
    ],
)
def test_what_is_wrong_is_said(written, message):
    with pytest.raises(InputError, match="--site-groups") as told:
        grouped(written, 5, lambda: NAMES)
    assert message in str(told.value)


def test_a_pattern_needs_a_task_that_names_its_sites():
    with pytest.raises(InputError, match="an attribute `site_names` to the task"):
        grouped("act*;rest", 5, lambda: None)


def test_shipped_tasks_name_their_sites():
    task = TASKS["digits-deep"]()
    names = task.site_names()
    assert len(set(names)) == task.sites
    assert sites_to_search(task, "rl", False, "1*;rest") == [[1, 6, 7, 8], [2, 3, 4, 5]] or names[0] != "1"
    assert len(set(TASKS["image-fit"]().site_names())) == TASKS["image-fit"].sites


def test_both_options_and_optimizers_of_one_function_are_refused():
    task = TASKS["ood-polynomial"]()
    with pytest.raises(InputError, match="choose one of them"):
        sites_to_search(task, "random", True, "1;rest")
    with pytest.raises(InputError, match="for functions of their own there are random, evolution, rl, surrogate"):
        sites_to_search(task, "mixture", True, None)
    assert sites_to_search(task, "mixture", False, None) is None


class Miscounted:
    """Says that it has other sites than it has."""

    def __init__(self, sites, made):
        self.sites, self.made = sites, made

    def evaluate(self, make_activation, seed, budget=1.0):
        x = torch.ones(3, requires_grad=True)
        for _ in range(self.made):
            x = make_activation()(x)
        return Outcome.finished(x.sum().item())

    def features(self, make_activation):
        return {"output": [1.0]}


@pytest.mark.parametrize("optimizer", ["random", "evolution", "rl", "surrogate"])
@pytest.mark.parametrize(("sites", "made", "groups"), [(3, 2, None), (1, 2, None), (3, 2, "1;rest"), (2, 4, "1-2")])
def test_wrong_sites_are_refused_before_anything_is_searched(optimizer, sites, made, groups, space, tmp_path):
    run, task = tmp_path / "run", Miscounted(sites, made)
    with Study(space, task, optimizer, run, per_site=groups is None, site_groups=groups) as study:
        with pytest.raises(InputError, match=f"task Miscounted says sites = {sites}, .* {made} times"):
            study.run(20)
        assert not study.trials
    assert not run.exists()


@pytest.mark.parametrize("functions", [["tanh(x);relu(x);sin(x)"], ["1-2: tanh(x); 3: relu(x)"]])
def test_wrong_sites_are_refused_by_a_comparison_of_functions_for_sites(functions, tmp_path):
    with pytest.raises(InputError, match=r"task Miscounted says sites = 3, .* 2 times"):
        compare(functions, Miscounted(3, 2), run=tmp_path / "run")
    with pytest.raises(InputError, match=r"task Miscounted says sites = 3, .* 2 times"):
        compare(["tanh(x)"], Miscounted(3, 2), each_site=True)
    assert not (tmp_path / "run").exists()
