"""Contract tests over TASKS: what every task keeps, and what the named ones promise."""

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from symact.activation.module import Activation
from symact.cli import search
from symact.errors import InputError
from symact.expr.operators import Parameter, Vocabulary
from symact.records import Status
from symact.tasks import TASKS
from symact.tasks.builtin import ImageTask

# Networks that a CPU cannot train in a test; they are built and evaluated at a tiny budget in `test_networks.py`.
NAMED = [name for name in TASKS if issubclass(TASKS[name], ImageTask)]
LARGE = {name for name in NAMED if name.startswith(("cifar", "image"))}
MIXTURE = Vocabulary(
    name="mixture",
    parameters={f"w{i}": Parameter(f"w{i}", 1.0, positive=True, mixture=True, range=(0.1, 3.0)) for i in (1, 2)},
)
MIXED = "(w1*relu(x) + w2*tanh(x))/(w1 + w2)"


def swish() -> nn.Module:
    return Activation("x*sigmoid(x)")


@pytest.fixture(scope="module", params=[name for name in NAMED if name not in LARGE])
def task(request: pytest.FixtureRequest) -> ImageTask:
    made = TASKS[request.param]()
    if not request.param.startswith("digits") and not os.environ.get("SYMACT_DATA"):
        pytest.skip(f"{request.param} needs its data: set SYMACT_DATA to a folder that holds it")
    try:
        made.dataset  # noqa: B018
    except InputError as error:
        pytest.skip(str(error))
    return made


@pytest.fixture(scope="module")
def digits_task() -> ImageTask:
    return TASKS["digits-deep"]()


def test_make_activation_is_called_once_per_site_in_order(task: ImageTask) -> None:
    made: list[nn.Module] = []

    def make() -> nn.Module:
        made.append(nn.Identity())
        return made[-1]

    model, activations = task.build(make, 0)
    assert len(made) == task.sites
    assert activations == made
    assert [m for m in model.modules() if isinstance(m, nn.Identity)] == made


@pytest.mark.parametrize("name", ["digits-deep", "image-fit"])
def test_a_report_of_two_arguments_is_told_step_and_score(name: str) -> None:
    told: dict[int, float] = {}

    def tell(step: int, score: float) -> None:
        told[step] = score

    found = TASKS[name]().evaluate(nn.Tanh, 0, 0.05, report=tell)
    assert found.status is Status.finished
    assert told[max(told)] == found.score


def test_same_seed_same_curve_and_nothing_leaks(task: ImageTask) -> None:
    torch.manual_seed(123)
    state = torch.get_rng_state()
    reported: list[float] = []
    steps: list[tuple[int, int | None]] = []

    def report(step: int, score: float, of: int | None) -> None:
        reported.append(score)
        steps.append((step, of))

    first = task.evaluate(swish, 7, 0.02)
    second = task.evaluate(swish, 7, 0.02, report=report)
    assert reported == [row["accuracy"] for row in first.metrics["curve"]]
    assert steps == [(step, len(reported)) for step in range(1, len(reported) + 1)]
    other = task.evaluate(swish, 8, 0.02)
    assert torch.equal(state, torch.get_rng_state())
    assert first.status is Status.finished
    assert first.metrics["curve"] == second.metrics["curve"] != other.metrics["curve"]
    assert first.score == second.score == first.metrics["curve"][-1]["accuracy"]
    assert not any(key.startswith("test") for key in first.metrics)
    json.dumps(dict(first.metrics), allow_nan=False)


def test_epochs_may_be_a_fraction_although_the_task_has_a_whole_number(digits_task: ImageTask) -> None:
    task = type(digits_task)()
    task.configure({"epochs": 0.5})
    assert (task.config.epochs, task.config.batch) == (0.5, digits_task.config.batch)
    with pytest.raises(InputError, match="batch takes a whole number"):
        task.configure({"batch": 0.5})


def test_weights_come_from_the_seed_whatever_the_activation(task: ImageTask) -> None:
    def noisy() -> nn.Module:
        torch.randn(100)
        return nn.Tanh()

    first, second = task.build(nn.ReLU, 3)[0], task.build(noisy, 3)[0]
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_features_have_their_shapes_and_tell_functions_apart(task: ImageTask) -> None:
    first, again, other = (task.features(make) for make in (swish, swish, lambda: Activation("tanh(x)")))
    layers = len(first["fisher_weights"])
    assert first["outputs"].shape == (1000,)
    assert first["fisher"].shape == (layers, 100)
    assert first["finite"].shape == ()
    assert bool(first["finite"])
    assert all(np.array_equal(first[key], again[key]) for key in first)
    assert np.abs(first["fisher"] - other["fisher"]).max() > 0.01
    assert (np.diff(first["fisher"], axis=1) >= 0).all()


class Explode(nn.Module):
    """Finite at first, then the weights grow without bound."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 0.5 * x**2


class Overflow(nn.Module):
    """Not finite from the start."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.exp(torch.exp(9 * x * x))


@pytest.mark.parametrize("make", [Explode, Overflow])
def test_a_diverging_activation_ends_as_diverged(digits_task: ImageTask, make: type[nn.Module]) -> None:
    outcome = digits_task.evaluate(make, 0)
    assert outcome.status is Status.diverged
    assert outcome.score is None
    assert "non-finite" in outcome.reason
    assert (outcome.metrics["failed_at_step"] == 0) == (make is Overflow)


def test_the_fisher_matrix_takes_the_labels_of_the_data_or_of_the_model(digits_task: ImageTask) -> None:
    default, data, model, again = (
        digits_task.features(nn.Tanh, **chosen)["fisher"]
        for chosen in ({}, {"labels": "data"}, {"labels": "model"}, {"labels": "model"})
    )
    assert np.array_equal(default, data)
    assert np.array_equal(model, again)
    assert 0 < np.abs(model - data).max() < 0.2


def test_the_screen_rejects_what_is_not_finite_at_initialization_and_can_be_off() -> None:
    outcome = TASKS["digits-deep"](screen=True).evaluate(Overflow, 0)
    assert outcome.status is Status.rejected
    assert TASKS["digits-deep"]().evaluate(Overflow, 0).status is Status.diverged
    assert TASKS["digits-deep"](screen=True).evaluate(swish, 0, 0.02).status is Status.finished


def test_what_the_activation_raises_comes_through(digits_task: ImageTask) -> None:
    def broken() -> nn.Module:
        raise RuntimeError("no such function")

    with pytest.raises(RuntimeError, match="no such function"):
        digits_task.evaluate(broken, 0)


def test_learnable_parameters_are_learned_per_site(digits_task: ImageTask) -> None:
    vocabulary = Vocabulary(name="learned", parameters={"beta": Parameter("beta", 1.0)})
    outcome = digits_task.evaluate(lambda: Activation("x*sigmoid(beta*x)", vocabulary), 0)
    values = [site["beta"] for site in outcome.constants]
    assert len(values) == digits_task.sites
    assert len(set(values)) == digits_task.sites
    assert all(abs(value - 1) > 1e-3 for value in values)


def test_the_default_task_tells_activations_apart(digits_task: ImageTask) -> None:
    scores = [np.mean([digits_task.evaluate(make, seed).score for seed in range(3)]) for make in (nn.ReLU, nn.ELU)]
    assert 0.85 < scores[0] < 0.94 < scores[1] < 0.98


@pytest.mark.parametrize("schedule", ["three-cycle", "bilevel"])
def test_a_schedule_trains_the_mixture_and_gives_others_as_many_epochs(digits_task: ImageTask, schedule: str) -> None:
    outcome = digits_task.evaluate(lambda: Activation(MIXED, MIXTURE), 0, 0.2, schedule)
    assert outcome.status is Status.finished
    weights = np.array([[site["w1"], site["w2"]] for site in outcome.constants])
    assert (np.abs(weights - 1) > 1e-4).all()
    reference = digits_task.evaluate(swish, 0, 0.2, schedule)
    assert reference.metrics["epochs"] == outcome.metrics["epochs"]
    assert reference.metrics["steps"] >= outcome.metrics["steps"]


def test_three_cycle_freezes_the_mixture_in_the_first_and_the_last_cycle(digits_task: ImageTask) -> None:
    outcome = digits_task.evaluate(lambda: Activation(MIXED, MIXTURE), 0, 0.1, "three-cycle")
    assert [row["phase"] for row in outcome.metrics["curve"]] == ["weights", "mixture", "weights again"]


def test_an_unknown_schedule_is_refused(digits_task: ImageTask) -> None:
    with pytest.raises(InputError, match="joint, three-cycle, bilevel"):
        digits_task.evaluate(swish, 0, 1.0, "sequential")


def test_the_test_split_is_reported_by_final_test_alone(digits_task: ImageTask) -> None:
    outcome = digits_task.final_test(swish, 0, 0.1)
    assert 0 <= outcome.metrics["test_accuracy"] <= 1
    assert outcome.score == digits_task.evaluate(swish, 0, 0.1).score


def test_missing_data_is_one_clear_line(tmp_path: Path) -> None:
    for name in ("fashion-cnn", "cifar10-allcnnc"):
        with pytest.raises(InputError, match="--data") as caught:
            TASKS[name](tmp_path).evaluate(swish, 0)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="does not exist"):
        TASKS["mnist-cnn"](tmp_path / "nowhere").evaluate(swish, 0)


def test_on_the_default_task_a_linear_network_fails_and_known_functions_lead() -> None:
    default = inspect.signature(search).parameters["task"].default
    made = TASKS[default]()
    functions = ("identity", "relu", "gelu", "swish", "elu", "sigmoid")
    accuracy = {name: made.evaluate(lambda n=name: Activation(f"{n}(x)"), 0).score for name in functions}
    good = [accuracy[name] for name in ("relu", "gelu", "swish", "elu")]
    assert accuracy["identity"] < min(good) - 0.1
    assert accuracy["sigmoid"] < min(good) - 0.1
