"""`symact tasks` and `symact grammars` list what there is, with or without JSON."""

from __future__ import annotations

import json

from symact.expr.functions import FUNCTIONS
from symact.program.loading import load_grammar, shipped
from symact.tasks import TASKS
from symact.tasks.declaration import metric_of


def test_every_task_is_listed_with_what_it_is(symact):
    code, out, _ = symact("tasks", "--json")
    found = {row["name"]: row["description"] for row in json.loads(out)["tasks"]}
    assert code == 0
    assert list(found) == list(TASKS)
    assert all(found.values())
    code, out, _ = symact("tasks")
    assert code == 0
    assert all(name in out for name in TASKS)


def test_tasks_are_listed_with_the_metric_that_they_declare(symact):
    rows = json.loads(symact("tasks", "--json")[1])["tasks"]
    for row in rows:
        metric = metric_of(TASKS[row["name"]])
        assert (row["metric"], row["unit"], row["direction"]) == (metric.name, metric.unit, metric.direction.value)
    assert {row["direction"] for row in rows} == {"maximize", "minimize"}
    assert "lower" in symact("tasks")[1]


def test_every_grammar_is_listed_with_its_spaces(symact):
    code, out, _ = symact("grammars", "--json")
    found = {row["name"]: row for row in json.loads(out)["grammars"]}
    assert code == 0
    assert set(found) == set(shipped())
    assert found["aquasurf"]["spaces"]["bench"] == 5103
    assert found["ramachandran"]["parameters"] == list(load_grammar("ramachandran").parameters)
    code, out, _ = symact("grammars")
    assert code == 0
    assert "1,023,516" in out


def test_every_function_is_listed_with_its_aliases(symact):
    code, out, _ = symact("grammars", "--functions", "--json")
    found = {row["name"]: row for row in json.loads(out)["functions"]}
    assert code == 0
    assert set(FUNCTIONS) <= set(found)
    assert "silu" in found["swish"]["aliases"]
    code, out, _ = symact("grammars", "--functions")
    assert code == 0
    assert all(name in out for name in FUNCTIONS)
