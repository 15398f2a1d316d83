"""Tasks whose loss is not a classification's: images, equations, tables (`FitTask`).

A subclass says what is trained (`network`) and on what (`problem`): a loss, and numbers to report, `score` among
them. Adam with a rate that falls to zero along a cosine does the rest, on one core: the networks are small. Every
function meets the same initial weights and the same draws, those of the seed.

The test is another problem of the same kind, which no search sees. `final_test` trains a fresh network on it
(another image, an equation with another constant), or measures the trained one (the test rows of a table).
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from symact.records import Outcome, Status
from symact.tasks.builtin import FEATURE_SEED, isolated, normal_points, reseed
from symact.tasks.declaration import NO_DECAY_OR, checked_training
from symact.tasks.first_order import FlatParameters, adamw, clipped
from symact.tasks.networks import MakeActivation, site_names
from symact.tasks.reporting import Report, with_end

CPU = torch.device("cpu")
CURVE = 5  # points of the curve of a training


@dataclass(frozen=True)
class Problem:
    """What a network is trained on, and how it is measured.

    Attributes:
        example: inputs such as the network reads; a few rows are enough.
        loss: (model, generator of the draws) -> the loss of the next step.
        measure: model -> numbers by name, `score` among them.
    """

    example: torch.Tensor
    loss: Callable[[nn.Module, torch.Generator], torch.Tensor]
    measure: Callable[[nn.Module], Mapping[str, float]]


@dataclass
class Fit:
    """What a training gave: the loss at `CURVE` steps, the step with the first non-finite loss, and steps taken."""

    curve: list[dict[str, float]] = field(default_factory=list)
    failed_at: int | None = None
    steps: int = 0


def fit(
    model: nn.Module,
    problem: Problem,
    steps: int,
    rate: float,
    seed: int,
    weight_decay: float = 0.0,
    clip: float = 0.0,
    report: Report | None = None,
) -> Fit:
    """Train `model` in place by AdamW with a cosine rate; stop at the first loss that is not finite.

    Args:
        model: any network that `problem` understands.
        problem: gives the losses.
        steps: how many.
        rate: at the first step.
        seed: of the draws.
        weight_decay: decoupled; 0 is Adam.
        clip: largest norm of a gradient; 0 for none.
        report: called with the score after `CURVE` of the steps, the last among them.
    """
    generator, result, report = torch.Generator().manual_seed(seed), Fit(), with_end(report)
    flat = FlatParameters(list(model.parameters()))
    update = adamw(flat, SimpleNamespace(momentum=0.0, weight_decay=weight_decay))
    marks = {round((i + 1) * steps / CURVE) - 1 for i in range(CURVE)}
    for step in range(steps):
        loss = problem.loss(model, generator)
        value = loss.item()
        if not math.isfinite(value):
            result.failed_at = step
            return result
        update(clipped(flat.gradient(loss), clip), rate * 0.5 * (1 + math.cos(math.pi * step / steps)))
        result.steps = step + 1
        if step in marks:
            row = {"step": step + 1, "train_loss": value}
            if report is not None:
                row["score"] = problem.measure(model)["score"]
                report(step + 1, row["score"], of=steps)
            result.curve.append(row)
    return result


class FitTask:
    """Train a small network on a loss of the task's own; the score is what the problem's `measure` calls `score`.

    Attributes:
        name: the name in `TASKS`.
        metric: what the score is; `direction`, `unit` and `number_format` as in docs/tasks.md.
        baselines: the champions of the family, tuned.
        sites: how often `network` calls `make_activation`.
        steps: of a full training.
        rate: of Adam at the first step.
        weight_decay: of the weights of layers, decoupled.
        clip: largest norm of a gradient; 0 for none.
        tunable: ranges of settings that can be tuned, for `symact search --tune`.
        gated: the activations are gates, modules of two tensors.
        test_is_trained: `final_test` trains a fresh network on the test problem, instead of measuring the trained one.
    """

    name: ClassVar[str] = ""
    metric: ClassVar[str] = "score"
    direction: ClassVar[str] = "maximize"
    unit: ClassVar[str] = ""
    number_format: ClassVar[str] = ""
    baselines: ClassVar[tuple[str, ...] | None] = None
    sites: ClassVar[int] = 3
    steps: int = 300
    rate: float = 5e-3
    weight_decay: float = 0.0
    clip: float = 0.0
    tunable: ClassVar[Mapping[str, str]] = {"rate": "1e-4:0.1:log", "weight_decay": NO_DECAY_OR}
    gated: ClassVar[bool] = False
    test_is_trained: ClassVar[bool] = True

    def __init__(self, data: str | os.PathLike[str] | None = None):
        """A task; `data` is not read, since everything ships with symact or its dependencies."""
        self.problem = lru_cache(self.make_problem)

    def make_problem(self, test: bool) -> Problem:
        """The problem of the search, or the one that no search sees; `problem` remembers both."""
        raise NotImplementedError

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Change settings of the training: `steps`, `rate`, `weight_decay`, `clip`.

        Raises:
            InputError: there is no such setting, or not with that value.
        """
        current = {name: getattr(self, name) for name in ("steps", "rate", "weight_decay", "clip")}
        for name, value in checked_training(self, current, settings, {}).items():
            setattr(self, name, value)

    def network(self, make_activation: MakeActivation) -> nn.Module:
        """A fresh network; `make_activation` is called once per site, in site order."""
        raise NotImplementedError

    def unfit(self, make_activation: MakeActivation) -> str:
        """Why this function is not worth a training, `""` if it is."""
        return ""

    def prepare(self) -> None:
        """Make the problem, which is no part of any training."""
        self.problem(False)

    def build(self, make_activation: MakeActivation, seed: int) -> tuple[nn.Module, list[nn.Module]]:
        """A network with the initial weights of `seed`, and its activations in site order.

        The activations are made first: whatever randomness they use, the weights are those of the seed.
        """
        reseed(seed, CPU)
        activations = [make_activation() for _ in range(self.sites)]
        waiting = iter(activations)
        reseed(seed, CPU)
        model = self.network(lambda: next(waiting))
        if any(is_lazy(parameter) for parameter in model.parameters()):
            with torch.no_grad():
                model(self.problem(False).example[:2])
        return model, activations

    def site_names(self) -> list[str]:
        """What the modules of the activation sites are called in the network, in site order."""
        with isolated(CPU):
            return site_names(*self.build(lambda *_, **__: nn.Identity(), 0))

    def evaluate(
        self, make_activation: MakeActivation, seed: int, budget: float = 1.0, report: Report | None = None
    ) -> Outcome:
        """Train with `seed` and report the score on what was not trained on.

        Args:
            make_activation: gives a fresh activation module; called once per site.
            seed: of the initial weights and the draws, the same for every function.
            budget: fraction of the steps, in (0, 1].
            report: called with the score after some of the steps.

        Raises:
            ValueError: `budget` is not in (0, 1].
        """
        if not 0 < budget <= 1:
            raise ValueError(f"budget must be in (0, 1], not {budget}")
        with isolated(CPU):
            reason = self.unfit(make_activation)
            if reason:
                return Outcome.failed(Status.rejected, reason)
            return self._trained(make_activation, seed, budget, report=report)[0]

    def final_test(
        self, make_activation: MakeActivation, seed: int, budget: float = 1.0, report: Report | None = None
    ) -> Outcome:
        """As `evaluate`, with the numbers of the test problem among the metrics, as `test_score` and so on.

        Where `test_is_trained` and that training fails, `test_failure` says how instead.
        """
        with isolated(CPU):
            reason = self.unfit(make_activation)
            if reason:
                return Outcome.failed(Status.rejected, reason)
            outcome, model = self._trained(make_activation, seed, budget, report=report)
            if outcome.status is not Status.finished:
                return outcome
            found: dict[str, Any] = {}
            if self.test_is_trained:
                other, model = self._trained(make_activation, seed, budget, test=True)
                found = {"test_failure": f"{other.status}: {other.reason}"} if other.score is None else {}
            if not found:
                found = {f"test_{key}": value for key, value in self.problem(True).measure(model).items()}
        return replace(outcome, metrics={**outcome.metrics, **found})

    def trained(
        self, make_activation: MakeActivation, seed: int, budget: float = 1.0, test: bool = False
    ) -> tuple[Outcome, nn.Module]:
        """The outcome and the trained network itself, for pictures."""
        with isolated(CPU):
            return self._trained(make_activation, seed, budget, test)

    def _trained(
        self,
        make_activation: MakeActivation,
        seed: int,
        budget: float,
        test: bool = False,
        report: Report | None = None,
    ) -> tuple[Outcome, nn.Module]:
        problem, start, cpu = self.problem(test), time.perf_counter(), time.process_time()
        model, activations = self.build(make_activation, seed)
        steps = max(1, round(self.steps * budget))
        fitted = fit(model, problem, steps, self.rate, seed, self.weight_decay, self.clip, report)
        metrics: dict[str, Any] = {"curve": fitted.curve, "steps": fitted.steps}
        numbers = {} if fitted.failed_at is not None else dict(problem.measure(model))
        metrics |= {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu}
        if fitted.failed_at is not None:
            when = f"at step {fitted.failed_at}" if fitted.failed_at else "before any update"
            reason = f"the loss became non-finite {when}"
            return Outcome.failed(Status.diverged, reason, failed_at_step=fitted.failed_at, **metrics), model
        score = numbers.pop("score")
        if not all(math.isfinite(value) for value in (score, *numbers.values())):
            return Outcome.failed(Status.nonfinite, f"the score is {score}", **metrics), model
        givers = [getattr(activation, "constants", None) for activation in activations]
        constants = tuple(dict(give()) if callable(give) else {} for give in givers)
        return Outcome.finished(score, constants=constants, **numbers, **metrics), model

    def features(self, make_activation: MakeActivation) -> dict[str, np.ndarray]:
        """What can be known of a function before training.

        Returns:
            `outputs` ``(1000,)``, values at fixed points of a clipped standard normal, which is one of two dimensions
            for a gate; `finite` ``()``, whether loss and gradient of the untrained network are. A Fisher matrix is that
            of a classifier, which this is not.
        """
        with isolated(CPU):
            activation = make_activation()
            with torch.no_grad():
                outputs = (
                    activation(*(normal_points(seed=FEATURE_SEED + i) for i in range(1 + self.gated))).float().numpy()
                )
            model, _ = self.build(make_activation, FEATURE_SEED)
            loss = self.problem(False).loss(model, torch.Generator().manual_seed(FEATURE_SEED))
            gradient = FlatParameters(list(model.parameters())).gradient(loss)
        return {"outputs": outputs, "finite": np.array(bool(torch.isfinite(gradient).all() and torch.isfinite(loss)))}


def coordinate_network(make_activation: MakeActivation, inputs: int, width: int, depth: int, outputs: int) -> nn.Module:
    """A perceptron on coordinates, with PyTorch's initial weights: uniform in 1/sqrt(inputs), biases as well.

    The biases matter here: without them every unit has its kink or its phase at the origin.
    """
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(inputs, width), make_activation()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))
