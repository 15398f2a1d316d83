"""Registries: names without imports, classes on look-up, and a message that helps."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys

import pytest

from symact.errors import InputError
from symact.optimize import OPTIMIZERS
from symact.registry import Registry
from symact.tasks import TASKS

EVERY = [(registry, name) for registry in (OPTIMIZERS, TASKS) for name in registry]


@pytest.mark.parametrize(("registry", "name"), EVERY, ids=lambda value: value if isinstance(value, str) else "")
def test_every_row_names_a_class_that_goes_by_that_name(registry: Registry, name: str) -> None:
    assert registry[name].name == name


@pytest.mark.parametrize(("registry", "name"), EVERY, ids=lambda value: value if isinstance(value, str) else "")
def test_a_summary_is_the_first_line_of_the_docstring(registry: Registry, name: str) -> None:
    assert registry.summary(name) == (inspect.getdoc(registry[name]) or "").split("\n")[0] != ""


@pytest.mark.parametrize("error", [InputError, KeyError])
def test_an_unknown_name_is_answered_with_the_known_ones_and_a_guess(error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        TASKS["fashion14deep"]
    assert str(caught.value).startswith("unknown task 'fashion14deep'; did you mean 'fashion14-deep'? known are digits")
    assert str(caught.value).endswith("or your own as FILE.py:Class")


def test_get_gives_the_default_for_an_unknown_name() -> None:
    assert OPTIMIZERS.get("gradient") is None
    assert "gradient" not in OPTIMIZERS
    assert 3 not in OPTIMIZERS


def test_listing_tasks_loads_no_torch() -> None:
    program = (
        "import sys; from symact.tasks import TASKS; [TASKS.summary(n) for n in TASKS]; print('torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


@pytest.mark.parametrize(
    "name", ["symact", "symact.bench", "symact.execute", "symact.optimize", "symact.study", "symact.tasks"]
)
def test_a_package_with_a_lazy_interface_names_and_finds_what_it_has(name):
    package = importlib.import_module(name)
    assert dir(package) == package.__all__
    assert all(getattr(package, public) is not None for public in package.__all__)
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'nothing'"):
        package.nothing  # noqa: B018
