"""A comparison is a study: it survives a kill, does not depend on workers, and knows halving and sites."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

import symact
from symact.errors import InputError
from symact.expr.operators import Parameter, Vocabulary
from symact.expr.tree import parse
from symact.records import Outcome
from symact.report.comparison import Comparison
from symact.store import Store, holds_study
from symact.study import Study
from symact.study.comparing import begin, goal
from tests.execute import stub_tasks
from tests.execute.stub_tasks import score_of
from tests.study.driver import ROOT

FUNCTIONS = ["sin(x)", "x**2", "tanh(x)", "x*sigmoid(x)", "atan(x)", "swish(x)", "exp(-x**2)"]


class Scored:
    """Higher is better; two sites."""

    sites = 2

    def evaluate(self, make_activation, seed, budget=1.0):
        candidate = make_activation.candidate
        return Outcome.finished(score_of(str(candidate), seed) * budget)


def told(table: Comparison) -> list:
    return [(row.place, row.expression, row.scores, row.difference, row.p, row.verdict) for row in table.rows]


def test_a_comparison_from_python_is_a_table():
    seen = []
    table = symact.compare(FUNCTIONS, Scored(), seeds=3, progress=seen.append)
    assert {row.expression for row in table.rows} == {*FUNCTIONS, "relu(x)"}
    means = [row.mean for row in table.rows]
    assert means == sorted(means, reverse=True)
    assert all(len(row.scores) == 3 for row in table.rows)
    assert all(row.cost > 0 and row.seconds >= 0 for row in table.rows)
    assert seen[-1].evaluations == 7, "a function that is another in other words was trained"
    document = table.document()
    assert {"task", "metric", "direction", "seeds", "against", "functions"} <= document.keys()
    keys = {"expression", "name", "status", "mean", "sd", "scores", "difference", "low", "high", "p"}
    assert all(keys <= row.keys() for row in document["functions"])
    assert next(row for row in document["functions"] if row["expression"] == "relu(x)")["p"] is None


def test_workers_change_nothing(tmp_path):
    tables = []
    for workers in (0, 2):
        with begin(FUNCTIONS, stub_tasks.named("Quick"), 3, run=tmp_path / str(workers), workers=workers) as study:
            study.run(goal(study))
            tables.append(told(Comparison.of(study.store)))
    assert tables[0] == tables[1]


def test_a_killed_comparison_goes_on_where_it_was(tmp_path):
    task = stub_tasks.named("Slow")
    program = (
        "import sys, json; from symact.study.comparing import begin, goal\n"
        "functions, task, run = json.loads(sys.argv[1])\n"
        "study = begin(functions, task, 5, run=run); study.run(goal(study))"
    )
    run = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-c", program, json.dumps([FUNCTIONS, task, str(run)])], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if holds_study(run):
            with Store.open(run) as store:
                if len(store.evaluations()) >= 8:
                    break
        time.sleep(0.05)
    process.kill()
    process.wait()
    with Store.open(run) as store:
        before = store.evaluations()
        assert 0 < len(before) < 5 * 7, "it was not killed in the middle"
    with Study.resume(run, task=task) as study:
        study.run(goal(study))
        assert study.store.evaluations()[: len(before)] == before
        resumed = told(Comparison.of(study.store))
    with begin(FUNCTIONS, task, 5) as study:
        study.run(goal(study))
        assert told(Comparison.of(study.store)) == resumed


def test_a_table_can_be_had_while_the_comparison_runs():
    with begin(FUNCTIONS, Scored(), 3) as study:
        study.run(3)
        table = Comparison.of(study.store)
    assert "waiting" in {row.status for row in table.rows}
    assert sum(row.place is not None for row in table.rows) >= 3


def test_halving_stops_the_bad_ones_and_takes_the_reference_to_the_end():
    functions = [f"sin({n}*x)" for n in range(1, 19)]
    table = symact.compare(functions, Scored(), seeds=3, halving=True)
    full = [row for row in table.rows if row.place is not None]
    assert 2 <= len(full) < 12
    assert "relu(x)" in {row.expression for row in full}
    stopped = [row for row in table.rows if row.place is None]
    assert all(row.p is None and row.verdict == "" for row in stopped)
    assert table.rows[: len(full)] == tuple(full), "what stopped early stands among what did not"


def test_each_site_at_a_time(tmp_path):
    task = Scored()
    with begin(["sin(x)", "tanh(x)", "relu(x)"], task, 3, each_site=True, run=tmp_path / "run") as study:
        study.run(goal(study))
        table = Comparison.of(study.store)
    found = {(row.expression, row.site) for row in table.rows}
    assert found == {("sin(x)", 1), ("sin(x)", 2), ("tanh(x)", 1), ("tanh(x)", 2), ("relu(x)", None)}
    assert all(str(row.candidate[1 if row.site == 1 else 0]) == "relu(x)" for row in table.rows if row.site)
    assert table.reference.site is None


def test_functions_in_the_operators_and_parameters_of_a_grammar():
    table = symact.compare(["mul(x,sigmoid(x))", "x*sigmoid(beta*x)"], Scored(), 3, grammar="ramachandran")
    assert len(table.rows) == 3


def test_what_another_search_found_keeps_the_weights_of_its_mixture():
    weights = Vocabulary(parameters={name: Parameter(name, mixture=True) for name in ("w1", "w2")})
    mixture = parse("(w1*relu(x) + w2*tanh(x))/(w1 + w2)", weights)
    table = symact.compare([mixture, "sin(x)"], Scored(), 3)
    row = next(row for row in table.rows if "w1" in row.expression)
    assert row.candidate == mixture
    assert row.place is not None


def test_an_expression_of_another_grammar_is_refused():
    expression = symact.parse("mul(x,sigmoid(x))", symact.load_grammar("ramachandran"))
    with pytest.raises(InputError, match="give grammar="):
        symact.compare([expression], Scored(), 3)
    assert len(symact.compare([expression], Scored(), 3, grammar="ramachandran").rows) == 2


@pytest.mark.parametrize(
    ("functions", "options", "message"),
    [
        ([], {}, "there is nothing to compare"),
        (["frob(x)"], {}, "frob"),
        ([3], {}, "expressions or their texts are compared, not int"),
        (["sin(x)"], {"against": "relu("}, "relu"),
        (["sin(x)"], {"seeds": 0}, "repeats"),
        (["sin(x)"], {"grammar": "nowhere"}, "no such grammar"),
        (["relu(x)"], {"each_site": True}, "nothing to compare with the reference at each site"),
    ],
)
def test_bad_arguments_are_told_in_one_line(functions, options, message):
    with pytest.raises(InputError, match=message) as raised:
        symact.compare(functions, Scored(), **options)
    assert "\n" not in str(raised.value).partition("\n    ")[0]


def test_a_task_without_a_number_of_sites_has_no_sites_to_compare():
    class Siteless(Scored):
        sites = None

    with pytest.raises(InputError, match="it must say with `sites`"):
        symact.compare(["sin(x)"], Siteless(), each_site=True)


def test_one_that_fails_leaves_the_others_and_so_does_the_reference():
    class Failing(Scored):
        def evaluate(self, make_activation, seed, budget=1.0):
            if str(make_activation.candidate) in ("sin(x)", "exp(x)"):
                return Outcome.failed("diverged", "too far")
            return super().evaluate(make_activation, seed, budget)

    table = symact.compare(["sin(x)", "tanh(x)"], Failing(), 3, against="exp(x)")
    assert [(row.expression, row.status) for row in table.rows] == [
        ("tanh(x)", "finished"),
        ("exp(x)", "diverged"),
        ("sin(x)", "diverged"),
    ]
    assert all(row.p is None for row in table.rows)


def test_a_task_from_a_file_is_loaded_once(tmp_path):
    file = tmp_path / "task.py"
    file.write_text(
        "from pathlib import Path\n"
        "from symact import Outcome\n"
        "class Counted:\n"
        "    def __init__(self):\n"
        "        with Path(__file__).with_name('loads').open('a') as stream:\n"
        "            stream.write('x')\n"
        "    def evaluate(self, make_activation, seed, budget=1.0):\n"
        "        return Outcome.finished(seed % 7)\n"
    )
    symact.compare(["tanh(x)"], f"{file}:Counted", seeds=3)
    assert (tmp_path / "loads").read_text() == "x"
