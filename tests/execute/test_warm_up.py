"""What is paid before the clock of a candidate starts is no part of its time."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
import time

import pytest

from symact.backends.cpu import library
from symact.errors import InputError, SymactError
from symact.execute.local import WorkerProcesses
from symact.execute.warm_up import import_what_is_named, prepare
from symact.records import Status
from tests.execute.running import run, settings, write

pytestmark = pytest.mark.usefixtures("family")


SLOW_NEIGHBOUR = "import time\ntime.sleep({seconds})\n"


# What the functions of a task do that imports something: a neighbour of its file, PyTorch, symact's own modules.
LAZY = {
    "symact alone": "act = make_activation()",
    "torch first": "import torch\nlayer = torch.nn.Linear(2, 2)\nmake_activation()",
    "conditional": "if budget:\n    import slow_neighbour",
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", LAZY)
def test_imports_are_no_part_of_the_time_of_a_candidate(tmp_path, kind):
    """Nor are those of the worker that replaces one whose candidate has timed out."""
    (tmp_path / "slow_neighbour.py").write_text(SLOW_NEIGHBOUR.format(seconds=3))
    body = textwrap.indent(LAZY[kind], " " * 8)
    text = (
        f"from symact import Outcome\nclass Task:\n    def evaluate(self, make_activation, seed, budget=1.0):\n{body}\n"
    )
    task = write(tmp_path, text + "        return Outcome.finished(1.0)\n")
    executor = WorkerProcesses(settings(task, timeout=2.0), 1)
    try:
        for _ in range(2):
            (outcome,) = run(executor)
            assert outcome.status is Status.finished, outcome.reason
            os.kill(executor.workers[0], signal.SIGKILL)
    finally:
        executor.close()


def test_what_a_task_prepares_is_no_part_of_the_time_of_a_candidate(tmp_path):
    task = write(
        tmp_path,
        """
        import time
        from symact import Outcome
        class Task:
            def prepare(self):
                time.sleep(2)
                self.ready = True
            def evaluate(self, make_activation, seed, budget=1.0):
                return Outcome.finished(float(self.ready))
        """,
    )
    executor = WorkerProcesses(settings(task, timeout=1.0), 1)
    try:
        assert [o.score for o in run(executor, 2)] == [1.0, 1.0]
    finally:
        executor.close()


def test_the_native_library_is_built_once_before_any_clock_starts(tmp_path, monkeypatch):
    """A build in each worker would take its candidate's time and memory."""
    if library.load() is None:
        pytest.skip("no C++ compiler here")
    plain = library.build().read_bytes()[: -len(library._END) - library._DIGEST]
    built = []

    def compile_library(compiler, folder):
        built.append(os.getpid())
        time.sleep(3)
        (folder / "library.so").write_bytes(plain)
        return folder / "library.so"

    cache = tmp_path / "cache"
    monkeypatch.setenv("SYMACT_CACHE", str(cache))
    monkeypatch.setattr(library, "compile_library", compile_library)
    task = write(
        tmp_path,
        """
        import torch
        from symact import Outcome
        from symact.backends.cpu import library
        class Task:
            def evaluate(self, make_activation, seed, budget=1.0):
                make_activation()(torch.ones(3))
                return Outcome.finished(1.0, isa=library.isa())
        """,
    )
    executor = WorkerProcesses(settings(task, timeout=2.0, memory=2**30), 2)
    try:
        found = run(executor, 4)
    finally:
        executor.close()
    assert [o.status for o in found] == [Status.finished] * 4, [o.reason for o in found]
    assert {o.metrics["isa"] for o in found} == {library.isa()}
    assert built == [os.getpid()]
    assert {entry.suffix for entry in cache.iterdir()} == {".so", ".lock"}


@pytest.mark.parametrize(
    "body",
    [
        "import warm_neighbour",
        "from warm_neighbour import x",
        "import warm_neighbour.inner as F\nF.relu",
        "import torch\nimport warm_neighbour\nmake_activation()",
        "from torch import nn\nfrom warm_neighbour import inner",
        "import importlib\nimportlib.import_module('warm_neighbour')\nmake_activation()",
        "from importlib import import_module\nimport_module('warm_neighbour')",
        "__import__('warm_neighbour')",
        "import no_such_module, warm_neighbour",
        "def inner():\n    import warm_neighbour\ninner()",
        "if budget:\n    import warm_neighbour",
        "if 0:\n    import warm_neighbour",
        "try:\n    import no_such_module\nexcept ImportError:\n    import warm_neighbour",
    ],
)
@pytest.mark.parametrize("head", ["def f(budget=1.0):", "async def f():", "class Task:\n  def evaluate(self):"])
def test_what_functions_import_is_imported(tmp_path, monkeypatch, head, body):
    (tmp_path / "warm_neighbour").mkdir()
    (tmp_path / "warm_neighbour" / "__init__.py").write_text("x = 1")
    (tmp_path / "warm_neighbour" / "inner.py").write_text("relu = abs")
    monkeypatch.syspath_prepend(tmp_path)
    for module in ("warm_neighbour", "warm_neighbour.inner"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    import_what_is_named(f"{head}\n{textwrap.indent(body, ' ' * 8)}\n")
    assert "warm_neighbour" in sys.modules


@pytest.mark.parametrize("text", ["def f(:", "\0", "(" * 300, "def f():\n    from . import x"])
def test_text_that_cannot_be_read_is_left_to_the_task(text):
    import_what_is_named(text)


class Prepared:
    """Asks for what its method `prepare` says."""

    def __init__(self, error=None):
        self.error, self.calls = error, 0

    def prepare(self):
        self.calls += 1
        if self.error is not None:
            raise self.error


def test_a_task_is_prepared_where_it_says_how():
    task = Prepared()
    prepare(task)
    assert task.calls == 1
    prepare(object())


def test_a_failure_to_prepare_is_one_line_and_an_error_of_ours_stays():
    with pytest.raises(InputError, match=r"prepare\(\) of the task failed: KeyError"):
        prepare(Prepared(KeyError("a file")))
    with pytest.raises(SymactError, match="give --data"):
        prepare(Prepared(InputError("give --data")))


def test_a_method_of_that_name_with_arguments_is_for_something_else():
    class Cook:
        def prepare(self, meal):
            raise AssertionError("nobody asked for a meal")

    prepare(Cook())
