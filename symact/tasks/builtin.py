"""`ImageTask`, and the named tasks that need no GPU (`large.py` has the others).

A task says how good an activation is: `evaluate(make_activation, seed, budget, schedule)` trains a
network and gives an `Outcome` whose score is the accuracy on the validation split. `ImageTask` is what
they share; a row of settings makes a task. A user's task need not inherit from anything.

A non-finite loss ends a training as `diverged`, whether it comes with the first batch (the metric
`failed_at_step` is then 0: the untrained network is not finite) or later. A training whose losses are all
finite but whose validation loss is not ends as `nonfinite`. What `make_activation` or the
activation raises is not caught here: an executor turns it into `crashed`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from functools import cached_property, lru_cache
from itertools import count
from typing import Any, ClassVar

import numpy as np
import torch
from torch import distributed, nn
from torch.nn.parameter import is_lazy

from symact.records import Outcome, Status
from symact.tasks import networks
from symact.tasks.checkpoint import Checkpoint, formula_of, setting, source_of
from symact.tasks.config import CHOICES, UNTUNABLE, TrainConfig
from symact.tasks.data import Dataset, data_root, digits, images, images14, shifted_digits
from symact.tasks.declaration import NO_DECAY_OR, checked_training
from symact.tasks.fisher import FisherFeatures, FisherProbe
from symact.tasks.networks import MakeActivation
from symact.tasks.ranks import ALONE, Ranks, join, started_for
from symact.tasks.reporting import Report, with_end
from symact.tasks.schedules import plan
from symact.tasks.train import Training, epochs_in_all, measure_accuracy, train

# Initial weights and points of the features: the same for every function and every study.
FEATURE_SEED = 0


class ImageTask:
    """Train a network on a data set and report its validation accuracy.

    A subclass sets the class attributes and defines `load` and `network`.

    Attributes:
        name: the name in `TASKS`.
        metric: what the score is.
        sites: how often `network` calls `make_activation`.
        config: the training.
        tunable: ranges of settings that can be tuned, for `symact search --tune`; the task's own lie in them.
        untunable: settings that cannot, since they say how a training is run or judged.
        has_width: `network` obeys `config.width`.
    """

    name: ClassVar[str] = ""
    metric: ClassVar[str] = "accuracy"
    sites: ClassVar[int] = 0
    config: TrainConfig = TrainConfig()
    feature_batch: ClassVar[int] = 64
    tunable: ClassVar[Mapping[str, str]] = {
        "rate": "1e-4:0.1:log",
        "weight_decay": NO_DECAY_OR,
        "initial_scale": "0.3:3.0:log",
        "batch": "16:512:log",
    }
    untunable: ClassVar[tuple[str, ...]] = UNTUNABLE
    has_width: ClassVar[bool] = False

    def __init__(self, data: str | os.PathLike[str] | None = None, screen: bool = False):
        """A task on the data under `data`.

        Args:
            data: folder of the data sets; None means `SYMACT_DATA`, else the user's cache with download.
            screen: before training, reject a function whose Fisher matrix is not finite at initialization (it
                almost never trains); the outcome is then `rejected`.
        """
        self.root, self.screen = data_root(data), screen
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Change settings of the training, by their names in `TrainConfig`.

        Raises:
            InputError: there is no such setting, or not with that value.
        """
        known = {k: v for k, v in asdict(self.config).items() if k != "width" or self.has_width}
        numbers = {field.name for field in fields(self.config) if field.type in (float, "float")}
        known |= {name: float(known[name]) for name in numbers & known.keys()}  # a task may have written 10 for 10.0
        self.config = replace(self.config, **checked_training(self, known, settings, CHOICES))

    def wide(self, count: int) -> int:
        """So many units or channels, times `config.width`."""
        return max(1, round(count * self.config.width))

    def load(self) -> Dataset:
        """Read the data set.

        Raises:
            InputError: it is not there and cannot be downloaded.
        """
        raise NotImplementedError

    def network(self, make_activation: MakeActivation) -> nn.Module:
        """A fresh network; `make_activation` is called once per site, in site order."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Read the data set, which is no part of any training; where several processes train, each does.

        Raises:
            InputError: it is not there.
        """
        if self.processes == 1 or started_for(self.processes):
            self._join()
            _ = self.dataset

    @property
    def processes(self) -> int:
        """How many processes train a network together."""
        return self.config.processes

    def _join(self) -> Ranks:
        ranks, self.device = join(self.processes, self.device)
        return ranks

    @cached_property
    def dataset(self) -> Dataset:
        """The data set on the device, read on first use."""
        return self.load().to(self.device)

    def build(self, make_activation: MakeActivation, seed: int) -> tuple[nn.Module, list[nn.Module]]:
        """A network with the initial weights of `seed`, and its activations in site order.

        The activations are made first: whatever randomness they use, the weights are those of the seed.
        """
        reseed(seed, self.device)
        activations = [make_activation() for _ in range(self.sites)]
        waiting = iter(activations)
        reseed(seed, self.device)
        model = self.network(lambda: next(waiting)).to(self.device)
        if self.config.initial_scale != 1:
            with torch.no_grad():
                own = {id(p) for activation in activations for p in activation.parameters()}
                for weights in (p for p in model.parameters() if id(p) not in own and p.dim() > 1 and p.requires_grad):
                    weights.mul_(self.config.initial_scale)
        if any(is_lazy(parameter) for parameter in model.parameters()):
            from symact.activation.site_channels import settle_channels

            settle_channels(model, self.dataset.train.x[:2])
            with torch.no_grad():
                model.eval()(self.dataset.train.x[:2])
            model.train()
        return model, activations

    def site_names(self) -> list[str]:
        """What the modules of the activation sites are called in the network, in site order."""
        with isolated(self.device):
            return networks.site_names(*self.build(lambda *_, **__: nn.Identity(), 0))

    def evaluate(
        self,
        make_activation: MakeActivation,
        seed: int,
        budget: float = 1.0,
        schedule: str = "joint",
        report: Report | None = None,
    ) -> Outcome:
        """Train with `seed` and report the validation accuracy.

        Args:
            make_activation: gives a fresh activation module; called once per site.
            seed: of the initial weights and the order of the data, the same for every function.
            budget: fraction of a full training, in (0, 1].
            schedule: `"joint"`, `"three-cycle"` or `"bilevel"`; without mixture parameters the last two train
                everything together, for as many epochs.
            report: called with the number of each epoch and the accuracy after it.

        Raises:
            InputError: the data is missing, or the schedule cannot be used.
        """
        ranks = self._join()
        with isolated(self.device):
            return self._outcome(make_activation, seed, budget, schedule, ranks, report=report)

    def final_test(
        self,
        make_activation: MakeActivation,
        seed: int,
        budget: float = 1.0,
        schedule: str = "joint",
        report: Report | None = None,
    ) -> Outcome:
        """As `evaluate`, with `test_score`, `test_accuracy` and `test_loss` among the metrics. For finalists only."""
        ranks = self._join()
        with isolated(self.device):
            return self._outcome(make_activation, seed, budget, schedule, ranks, with_test=True, report=report)

    def _outcome(
        self,
        make_activation: MakeActivation,
        seed: int,
        budget: float,
        schedule: str,
        ranks: Ranks,
        with_test: bool = False,
        report: Report | None = None,
    ) -> Outcome:
        data, config, start = self.dataset, self.config, time.perf_counter()
        shown, judged = data.train, data.validation
        if config.subset:
            shown, judged = shown.first(config.subset), judged.first(config.subset)
        if self.screen and not self._fisher(make_activation).finite:
            return Outcome.failed(Status.rejected, "the Fisher matrix is not finite at initialization")
        model, activations = self.build(make_activation, seed)
        phases = plan(schedule, model, activations, shown, config)
        epochs, in_all, report = count(1), epochs_in_all(phases, config, budget), with_end(report)

        def measure(model: nn.Module) -> dict[str, Any]:
            loss, accuracy = measure_accuracy(model, judged, config, ranks)
            if report is not None:
                report(next(epochs), accuracy, of=in_all)
            return {"loss": loss, "accuracy": accuracy}

        checkpoint = self._checkpoint(make_activation, seed, budget, schedule, ranks)
        try:
            kept = checkpoint.load(shown.y.device) if checkpoint is not None else None
            if kept is not None and report is not None:
                for row in kept["curve"]:
                    report(next(epochs), row["accuracy"], of=in_all)
            training = train(model, phases, config, seed, budget, measure, checkpoint, ranks, kept)
        except (KeyboardInterrupt, distributed.DistError):  # of which the second means that another process is gone
            raise
        except BaseException:  # it failed, or was stopped for good
            if checkpoint is not None:
                checkpoint.remove()
            raise
        if checkpoint is not None:
            checkpoint.remove()
        metrics = self._metrics(training, schedule) | {"seconds": time.perf_counter() - start}
        if training.failed_at is not None:
            when = "before any update" if training.failed_at == 0 else f"at step {training.failed_at}"
            return Outcome.failed(Status.diverged, f"the loss became non-finite {when}", **metrics)
        last = training.curve[-1]
        if not torch.isfinite(torch.tensor(last["loss"])):
            return Outcome.failed(Status.nonfinite, f"the validation loss is {last['loss']}", **metrics)
        metrics["train_loss"] = last["train_loss"]
        changed = any((config.augment, config.randaugment, config.mixup, config.cutmix, config.random_erase))
        if isinstance(shown.x, torch.Tensor) and not changed:  # else it would be a pass over other images
            metrics["train_loss"], metrics["train_accuracy"] = measure_accuracy(model, shown, config, ranks)
        metrics["seconds"] = time.perf_counter() - start
        if with_test:
            metrics["test_loss"], metrics["test_accuracy"] = measure_accuracy(model, data.test, config, ranks)
            metrics["test_score"] = metrics["test_accuracy"]
        givers = [getattr(activation, "constants", None) for activation in activations]
        constants = tuple(dict(give()) if callable(give) else {} for give in givers)
        return Outcome.finished(
            last["accuracy"], constants=constants, accuracy=last["accuracy"], loss=last["loss"], **metrics
        )

    def _checkpoint(
        self, make_activation: MakeActivation, seed: int, budget: float, schedule: str, ranks: Ranks = ALONE
    ) -> Checkpoint | None:
        """Where the training of a candidate is kept; None where that is not wanted, or nobody says which it is."""
        candidate = getattr(make_activation, "candidate", None)
        if not self.config.checkpoints or candidate is None:
            return None
        plain = {k: v for k, v in sorted(vars(self).items()) if isinstance(v, bool | int | float | str)}
        config = replace(self.config, checkpoints="")
        of_task = (source_of(self), plain, config, self.dataset.name)
        identity = (*of_task, *formula_of(candidate), seed, budget, schedule, *setting(self.device))
        return Checkpoint(self.config.checkpoints, identity, ranks)

    def features(self, make_activation: MakeActivation, labels: str = "data") -> dict[str, np.ndarray]:
        """What can be known of a function before training.

        Args:
            make_activation: gives a fresh activation module.
            labels: of the Fisher matrix: `"data"`, or `"model"` for labels drawn from the model with a fixed seed.

        Returns:
            `outputs` ``(1000,)``, the values of a fresh activation at fixed points of a standard normal, clipped to
            [-5, 5] (of the first site, where sites differ); `fisher` ``(layers, 100)`` and `fisher_weights`
            ``(layers,)`` as in `fisher.FisherFeatures`; `finite` ``()``, whether the Fisher matrix is finite.
        """
        with isolated(self.device):
            activation = make_activation().to(self.device)
            with torch.no_grad():
                outputs = activation(normal_points().to(self.device)).float().cpu().numpy()
            fisher = self._fisher(make_activation, labels)
        return {
            "outputs": outputs,
            "fisher": fisher.cdf,
            "fisher_weights": fisher.weights,
            "finite": np.array(fisher.finite),
        }

    @cached_property
    def _probes(self) -> dict[str, FisherProbe]:
        train, rows = self.dataset.train, slice(0, self.feature_batch)
        x = train.x[rows].clone()
        return {"data": FisherProbe(x, train.y[rows]), "model": FisherProbe(x, None)}

    def _fisher(self, make_activation: MakeActivation, labels: str = "data") -> FisherFeatures:
        model, _ = self.build(make_activation, FEATURE_SEED)
        return self._probes[labels](model)

    def _metrics(self, training: Training, schedule: str) -> dict[str, Any]:
        metrics: dict[str, Any] = {
            "data": self.dataset.name,
            "curve": training.curve,
            "epochs": len(training.curve),
            "steps": training.steps,
            "schedule": schedule,
            "train_seconds": training.seconds,
        }
        if training.failed_at is not None:
            metrics["failed_at_step"] = training.failed_at
        return metrics


@lru_cache(maxsize=2)
def normal_points(count: int = 1000, seed: int = FEATURE_SEED) -> torch.Tensor:
    """Fixed points of a standard normal, clipped to [-5, 5], ``(count,)`` (AQuaSurF, arXiv:2301.05785)."""
    points = np.random.default_rng(seed).standard_normal(count).clip(-5, 5)
    return torch.from_numpy(points.astype(np.float32))


def reseed(seed: int, device: torch.device) -> None:
    """As `torch.manual_seed`, which spends a millisecond on devices that are not there."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed_all(seed)


@contextmanager
def isolated(device: torch.device) -> Iterator[None]:
    """Leaves torch's random generators as they were."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []), torch.enable_grad():
        yield


class DigitsShifted(ImageTask):
    """scikit-learn's digits anywhere in a frame of 12x12, three hidden layers of 64; the default, no download.

    A linear network reaches a third of them, ReLU 85 %; the others of its kind lead (`runs/default_task`).
    """

    name, sites, has_width = "digits-shifted", 3, True
    feature_batch = 256
    config = TrainConfig(epochs=10, batch=64)

    def load(self) -> Dataset:
        """The shifted digits; nothing is downloaded."""
        return shifted_digits()

    def network(self, make_activation: MakeActivation) -> nn.Module:
        """Three hidden layers of 64."""
        return networks.mlp(make_activation, self.dataset.train.x.shape[1], [self.wide(64)] * 3, self.dataset.classes)


class DigitsDeep(ImageTask):
    """scikit-learn's digits, eight hidden layers of 32 without normalization; a linear network beats ReLU here."""

    name, sites, has_width = "digits-deep", 8, True
    feature_batch = 256
    config = TrainConfig(epochs=10, batch=64)

    def load(self) -> Dataset:
        """scikit-learn's digits."""
        return digits()

    def network(self, make_activation: MakeActivation) -> nn.Module:
        """Eight hidden layers of 32."""
        return networks.mlp(make_activation, 64, [self.wide(32)] * 8, 10)


class Fashion14Deep(ImageTask):
    """Fashion-MNIST at 14x14, six hidden layers of 32 without normalization, 5,000 images, 5 epochs."""

    name, sites, has_width = "fashion14-deep", 6, True
    feature_batch = 256
    config = TrainConfig(epochs=5, batch=128)
    source: ClassVar[str] = "FashionMNIST"

    def load(self) -> Dataset:
        """Images at 14x14 from the data folder."""
        return images14(self.source, self.root)

    def network(self, make_activation: MakeActivation) -> nn.Module:
        """Six hidden layers of 32."""
        return networks.mlp(make_activation, 196, [self.wide(32)] * 6, 10)


class MNIST14Deep(Fashion14Deep):
    """MNIST at 14x14, as `fashion14-deep`."""

    name, source = "mnist14-deep", "MNIST"


class FashionCNN(ImageTask):
    """Fashion-MNIST with two convolutions and two linear layers: 10,000 images to train, 5,000 to validate."""

    name, sites = "fashion-cnn", 3
    config = TrainConfig(epochs=5, batch=128)
    source: ClassVar[str] = "FashionMNIST"
    train_images: ClassVar[int | None] = 10_000
    validation_images: ClassVar[int | None] = 5_000

    def load(self) -> Dataset:
        """The first images of the data set, as many as the task takes."""
        return images(self.source, self.root, self.train_images, self.validation_images)

    def network(self, make_activation: MakeActivation) -> nn.Module:
        """Two convolutions and two linear layers."""
        channels, size = self.dataset.train.x.shape[1:3]
        return networks.cnn(make_activation, channels, size, self.dataset.classes)


class MNISTCNN(FashionCNN):
    """MNIST, as `fashion-cnn`."""

    name, source = "mnist-cnn", "MNIST"


class KMNISTCNN(FashionCNN):
    """KMNIST (or KMNIST-8k2k where that is what lies in the folder), as `fashion-cnn`."""

    name, source = "kmnist-cnn", "KMNIST"
