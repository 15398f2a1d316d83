"""What a task declares of itself is checked once, and the message says what was declared."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from symact.errors import InputError
from symact.records import Direction, Metric
from symact.tasks import TASKS
from symact.tasks.declaration import baselines_of, is_gated, metric_of


def test_a_task_that_declares_nothing_has_a_score_that_is_maximized():
    assert metric_of(object()) == Metric("score", Direction.maximize)
    assert baselines_of(object()) == ()


def test_what_is_declared_is_taken():
    task = SimpleNamespace(metric="PSNR", direction="minimize", unit="dB", number_format=".2f", baselines=["sin(x)"])
    assert metric_of(task) == Metric("PSNR", Direction.minimize, "dB", ".2f")
    assert metric_of(task).heading == "PSNR (dB)"
    assert baselines_of(task) == ("sin(x)",)


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"direction": "lower"}, "direction is 'maximize' or 'minimize', not 'lower'"),
        ({"direction": 1}, "direction is"),
        ({"metric": ""}, "metric: a name such as"),
        ({"metric": 3}, "metric: a text"),
        ({"metric": "a\x1b[31m"}, "metric: a text of at most 60 printable"),
        ({"unit": "x" * 30}, "unit: a text"),
        ({"number_format": "{:.3f}"}, "number_format: '.3f'"),
        ({"number_format": "1000000d"}, "number_format"),
    ],
)
def test_a_metric_that_is_none_is_refused(declared, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        metric_of(SimpleNamespace(name="mine", **declared))


@pytest.mark.parametrize("declared", ["relu(x)", [], [1], ["relu(x)"] * 101, {"relu(x)": 1}])
def test_baselines_that_are_no_list_of_texts_are_refused(declared):
    with pytest.raises(InputError, match=r"task mine: .*baselines"):
        baselines_of(SimpleNamespace(name="mine", baselines=declared))


@pytest.mark.parametrize("declared", [1, "yes", None])
def test_gated_is_true_or_false(declared):
    assert not is_gated(SimpleNamespace())
    assert is_gated(SimpleNamespace(gated=True))
    with pytest.raises(InputError, match="task mine: gated"):
        is_gated(SimpleNamespace(name="mine", gated=declared))


def test_every_named_task_declares_what_can_be_read():
    for name in TASKS:
        assert metric_of(TASKS[name]).name != "score", name


@pytest.mark.parametrize(
    ("number_format", "value", "text"),
    [("", 0.98765, "0.9877"), ("", 2e-6, "2.0e-06"), (".1%", 0.98765, "98.8%"), (",.0f", 12345.6, "12,346")],
)
def test_a_score_is_written_in_the_format_of_its_metric(number_format, value, text):
    assert Metric(number_format=number_format).text(value) == text
    assert Metric(number_format=number_format).text(value, signed=True) == f"+{text}"
    assert Metric(number_format=number_format).text(None) == ""


@pytest.mark.parametrize(
    ("task", "settings", "message"),
    [
        ("image-fit", {"epochs": 3}, "task image-fit has no setting 'epochs'; it has steps, rate, weight_decay, clip"),
        ("image-fit", {"steps": 2.5}, "steps takes a whole number, not '2.5'"),
        ("image-fit", {"steps": True}, "steps takes a whole number, not 'True'"),
        ("image-fit", {"rate": 0}, "rate is above 0, not 0"),
        ("image-fit", {"clip": -1}, "clip is 0 or more, not -1"),
        ("digits-deep", {"rate": float("inf")}, "rate is above 0, not inf"),
        ("digits-deep", {"optimizer": "lion"}, "optimizer is one of sgd, nesterov, adam, adamw, rmsprop, not 'lion'"),
        ("digits-deep", {"decay": 0.1}, "decay takes a name, not '0.1'"),
        ("digits-deep", {"momentum": 1}, "momentum is from 0 to below 1, not 1"),
        ("digits-deep", {"ema": 1.0}, "ema is from 0 to below 1, not 1.0"),
        ("digits-deep", {"magnitude": 31}, "magnitude is from 0 to 30, not 31"),
        ("digits-deep", {"processes": 0}, "processes is above 0, not 0"),
        ("digits-deep", {"augment": 1}, "augment takes true or false, not '1'"),
    ],
)
def test_a_setting_that_a_shipped_task_cannot_have_is_refused_by_name(task, settings, message):
    with pytest.raises(InputError, match=message):
        TASKS[task]().configure(settings)


@pytest.mark.parametrize("name", list(TASKS))
def test_every_shipped_task_takes_a_rate_and_leaves_other_tasks_alone(name, tmp_path):
    task, other = TASKS[name](data=tmp_path), TASKS[name](data=tmp_path)
    task.configure({"rate": 0.125, "clip": 1})
    changed, own = (getattr(one, "config", one) for one in (task, other))
    assert (changed.rate, changed.clip) == (0.125, 1.0)
    assert (own.rate, own.clip) != (0.125, 1.0)
