"""Run folders whose every row is a stranger's, with valid checksums: what is printed, drawn and resumed.

Whoever makes a file can make its checksums. So nothing that is read may reach the terminal as an escape
sequence or the page as markup, name code that a resume runs, or end in an exception that nobody meant.
"""

from __future__ import annotations

import json
import shutil
import sqlite3

import pytest

from symact.errors import SymactError
from symact.program.loading import parse_grammar
from symact.store import schema
from symact.study import Study
from tests.execute import stub_tasks

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>"
ESCAPES = "\x1b[2J\x1b]0;owned\x07\u202e"
MATHS = r"$\bad{$ [link=x][/b]"
GRAMMAR = """
[parameters]
beta = { init = 1.0 }
[unary]
scaled = "beta*x"
sine = "sin(x)"
cube = "x**3"
[binary]
add = "a + b"
[spaces]
main = ["binary(unary(x), unary(x))"]
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    run = tmp_path_factory.mktemp("made") / "run"
    with Study(parse_grammar(GRAMMAR).space(), stub_tasks.Quick(), "random", run, confirm=3, confirm_best=1) as study:
        study.run(10)
    return run


@pytest.fixture
def run(made, tmp_path):
    return shutil.copytree(made, tmp_path / "run")


def forge(run, table, column, value, where="TRUE"):
    """Put a value into rows, with the checksum that belongs to it; a function gets the old value."""
    connection = sqlite3.connect(run / "study.db")
    connection.row_factory = sqlite3.Row
    key = "number" if table in ("asked", "functions") else "id"
    for row in connection.execute(f"SELECT * FROM {table} WHERE {where}").fetchall():
        values = {**dict(row), column: value(row[column]) if callable(value) else value}
        checksum = schema.checksum([v for name, v in values.items() if name not in ("id", "checksum")])
        statement = f"UPDATE {table} SET {column} = ?, checksum = ? WHERE {key} = ?"
        connection.execute(statement, (values[column], checksum, row[key]))
    connection.commit()
    connection.close()


def setting(**changes):
    return lambda text: json.dumps({**json.loads(text), **changes})


def candidate(*texts, **more):
    return json.dumps({"expressions": list(texts), "parameters": [], **more})


def task(name):
    return {"kind": "object", "name": name, "text": "", "sha256": ""}


def checked(result, allowed=(0, 2)):
    code, out, err = result
    assert code in allowed, err
    assert "unexpected" not in err
    assert err.count("\n") <= 3
    assert all(c.isprintable() or c == "\n" for c in out + err), "control characters reach the terminal"
    return code


NAMES = {
    "optimizer": [("study", "settings", setting(optimizer=ESCAPES + SCRIPT))],
    "optimizer as mathematics": [("study", "settings", setting(optimizer=MATHS))],
    "task": [("study", "settings", setting(task=task(ESCAPES + SCRIPT)))],
    "machine": [("study", "settings", setting(machine={ESCAPES: SCRIPT}, created=ESCAPES))],
    "origin": [("asked", "origin", ESCAPES + SCRIPT)],
    "origin as markup": [("asked", "origin", MATHS)],
    "reason": [
        ("evaluations", "status", "crashed", "number = 9"),
        ("evaluations", "score", None, "number = 9"),
        ("evaluations", "reason", SCRIPT + ESCAPES, "number = 9"),
    ],
    "metrics": [("evaluations", "metrics", json.dumps({"curve": [SCRIPT, {"score": ESCAPES}, [1], None], SCRIPT: 1}))],
    "names of constants": [("evaluations", "constants", json.dumps([{"x": 1.0, ESCAPES: 2.0, "beta": None}, {}]))],
    "nested metrics": [("evaluations", "metrics", '{"a":' + "[" * 30 + "]" * 30 + "}")],
}


@pytest.mark.parametrize("name", NAMES)
def test_names_of_a_stranger_are_shown_as_text(symact, run, name):
    for change in NAMES[name]:
        forge(run, *change)
    assert checked(symact("top", "run", "-n", "0")) == 0
    assert checked(symact("top", "run", "-n", "0", "--json")) == 0
    other = shutil.copytree(run, run.parent / "other")
    assert checked(symact("report", "run", str(other), "--output", "page.html")) == 0
    page = (run.parent / "page.html").read_text()
    assert page.count("<script") == 2, "the page's own data and code"
    assert "<img" not in page


REFUSED = {
    "deep metrics": ("evaluations", "metrics", '{"a":' + "[" * 5000 + "]" * 5000 + "}"),
    "deeper than a task may": ("evaluations", "metrics", '{"a":' + "[" * 60 + "]" * 60 + "}"),
    "NaN": ("evaluations", "metrics", '{"curve":[NaN]}'),
    "infinity": ("evaluations", "metrics", '{"curve":[1e999]}'),
    "a number of a thousand digits": ("evaluations", "metrics", '{"a":' + "9" * 1000 + "}"),
    "a score that overflows sums": ("evaluations", "score", 1.7e308),
    "a time that is text": ("evaluations", "seconds", "x"),
    "a trial that is not there": ("evaluations", "number", 2**62, "number = 5"),
    "a constant that is text": ("evaluations", "constants", '[{"beta":"x"}]'),
    "a candidate that is code": ("asked", "candidate", candidate('__import__("os").system("true")'), "number = 9"),
    "a megabyte of parentheses": ("asked", "candidate", candidate("(" * 1_000_000), "number = 9"),
    "an odd parameter": ("asked", "candidate", candidate("x", parameters=[{"name": "x"}]), "number = 9"),
    "a document that is a list": ("asked", "candidate", "[1, 2]", "number = 9"),
    "known as itself": ("asked", "known", 9, "number = 9"),
    "a grammar with escapes": ("study", "settings", setting(grammar='[unary]\n"\\u001b[2J" = "x"')),
    "a task with another hash": (
        "study",
        "settings",
        setting(task={"kind": "file", "name": "T", "text": "x", "sha256": "0" * 64}),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_study_writes_is_refused_in_one_line(symact, run, name):
    forge(run, *REFUSED[name])
    assert checked(symact("top", "run", "-n", "0", "--json")) == 2


RESUMED = {
    "a power that would fill the memory": ("asked", "candidate", candidate("2**10**10*x"), "number = 9"),
    "two thousand sites": ("asked", "candidate", candidate(*["x"] * 2000), "number = 9"),
    "a function that is not there": ("asked", "function", "999"),
    "a function that is no number": ("asked", "function", ESCAPES),
    "a function without a name": ("asked", "function", ""),
    "a function number that leaves a gap": ("functions", "number", 10**9, "number = 3"),
    "a promotion of what was not measured": ("asked", "promoted", 3, "number = 9"),
    "a repeat that is negative": ("evaluations", "repeat", -5, "number = 5"),
    "a budget near zero": ("asked", "budget", 1e-300),
    "a batch near the end of numbers": ("asked", "batch", 2**62, "number = 9"),
    "a goal below zero": ("goals", "evaluations", -3),
    "settings that nest": ("study", "settings", setting(optimizer_settings={"a": json.loads("[" * 150 + "]" * 150)})),
    "settings that are not the optimizer's": ("study", "settings", setting(optimizer_settings={"run": "../../x"})),
    "a space elsewhere": ("study", "settings", setting(space="../../x")),
    "a thousand shapes": ("study", "settings", setting(shapes=["tree(x)"] * 1000)),
}


@pytest.mark.parametrize("name", RESUMED)
def test_a_resume_goes_on_or_refuses(symact, run, name):
    forge(run, *RESUMED[name])
    checked(symact("top", "run", "--json"))
    try:
        with Study.resume(run, 11, stub_tasks.Quick()) as study:
            assert len(study.trials) >= 9
    except SymactError as error:
        assert str(error).isprintable(), "one line"  # noqa: PT017 both ends are allowed


@pytest.mark.parametrize("name", ["../../evil.py:Task", "evil.py:Task", "os", "__init__", "builtin:os.system"])
def test_a_task_that_a_stranger_names_is_never_looked_for_on_disk(symact, run, name, tmp_path):
    sign = tmp_path / "sign"
    for folder in (tmp_path, run):
        (folder / "evil.py").write_text(f"open({str(sign)!r}, 'w')\nclass Task: pass\n")
    forge(run, "study", "settings", setting(task={"kind": "name", "name": name, "text": "", "sha256": ""}))
    assert checked(symact("resume", "run", "--evaluations", "12")) == 2
    assert not sign.exists()
