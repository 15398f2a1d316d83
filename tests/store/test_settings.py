"""Settings: every field is checked, and they come back from their own text."""

from __future__ import annotations

import hashlib
import math

import pytest
from pydantic import ValidationError

from symact.errors import InputError
from symact.store.settings import Settings, TaskSettings, machine, versions

TASK = TaskSettings(kind="name", name="digits-deep")


def build(**changes):
    return Settings.build(**{"grammar": "text", "space": "main", "task": TASK, "optimizer": "random", **changes})


def test_settings_come_back_from_their_text():
    made = build(
        optimizer_settings={"a": [1, None, "x"], "b": {"c": 0.5}},
        budgets=(0.1, 1.0),
        timeout=3.5,
        versions=versions(),
        machine=machine(),
    )
    assert Settings.model_validate_json(made.model_dump_json()) == made


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": -1},
        {"seed": 2**63},
        {"seed": 1.5},
        {"seed": "1"},
        {"repeats": 0},
        {"repeats": True},
        {"batch": 0},
        {"budgets": (0.5,)},
        {"budgets": (1.0, 0.5)},
        {"budgets": (0.5, 0.5, 1.0)},
        {"budgets": (0.0, 1.0)},
        {"eta": 1},
        {"confirm": -1},
        {"timeout": 0.0},
        {"timeout": math.inf},
        {"timeout": math.nan},
        {"memory": 0},
        {"optimizer": ""},
        {"space": ""},
        {"colour": "red"},
        {"optimizer_settings": {"a": object()}},
        {"optimizer_settings": {"a": math.nan}},
        {"shapes": ("x" * 10_001,)},
        {"data": "d" * 5_001},
    ],
)
def test_what_cannot_be_a_setting_is_one_line_that_names_it(changes):
    with pytest.raises(InputError) as caught:
        build(**changes)
    assert next(iter(changes)) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_task_has_the_hash_of_its_text():
    text = "class Task: ..."
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    assert TaskSettings(kind="file", name="Task", text=text, sha256=sha256).text == text
    for wrong in ({"sha256": "0" * 64}, {"text": text + " "}, {"kind": "name"}):
        with pytest.raises(ValidationError):
            TaskSettings(**{"kind": "file", "name": "Task", "text": text, "sha256": sha256, **wrong})


def test_a_machine_is_described_without_its_name():
    import platform

    assert platform.node() not in str(machine()) or not platform.node()
    assert set(versions()) >= {"python", "numpy", "torch", "sympy"}
