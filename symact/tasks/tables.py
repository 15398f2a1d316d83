"""Regression on tables: somewhere to start from for a user who has one (`table-diabetes`, `table-housing`).

The target is standardized by the training rows, and the score is R2 on the validation rows; the test rows are measured
by `final_test` alone. `table-housing` is generated: its columns have the ranges of the California housing data, which
scikit-learn downloads, and its prices are a formula of ours with noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from symact.tasks.fitting import FitTask, Problem, coordinate_network
from symact.tasks.networks import MakeActivation

SEED = 0  # of the split, and of the generated table
BATCH, WIDTH, DEPTH = 64, 32, 3


def diabetes() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's 442 patients: ten measurements ``(442, 10)``, the disease's progress ``(442,)``."""
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True)
    return x, y


def housing(rows: int = 5000) -> tuple[np.ndarray, np.ndarray]:
    """Made-up districts of a coast: ``(rows, 8)``, and the logarithm of a house's price ``(rows,)``.

    The columns are income, age, rooms, bedrooms, population, household, latitude and longitude. The price rises with
    income up to a cap, falls with the distance to the coast and to the nearer of two cities, and has noise of 0.1.
    """
    draw = np.random.default_rng(SEED)
    income, age = draw.lognormal(1.2, 0.5, rows), draw.uniform(1, 52, rows)
    rooms = 3 + income * 0.5 + draw.gamma(2, 0.5, rows)
    bedrooms, household = rooms * draw.uniform(0.15, 0.3, rows), 1 + draw.gamma(4, 0.5, rows)
    population = draw.lognormal(7, 0.7, rows)
    latitude = draw.uniform(32.5, 42, rows)
    inland = draw.gamma(1.5, 1.0, rows)
    longitude = -117 - 0.75 * (latitude - 32.5) + inland
    cities = np.array([[34.0, -118.2], [37.8, -122.4]])
    gaps = np.stack([np.hypot(latitude - a, longitude - b) for a, b in cities]).min(0)
    price = np.log(np.minimum(income, 8)) - 0.5 * np.tanh(inland) - 0.3 * np.log1p(gaps) - 0.1 * np.log(household)
    price += 0.1 * np.sin(age / 8) + 0.1 * draw.standard_normal(rows)
    return np.stack([income, age, rooms, bedrooms, population, household, latitude, longitude], 1), price


class TableTask(FitTask):
    """A perceptron of three hidden layers of 32 on a table; the first 60 % of a fixed order train, 20 % validate."""

    metric, number_format = "R2", ".3f"
    sites, steps, rate, weight_decay, test_is_trained = DEPTH, 300, 3e-3, 1e-2, False
    tunable = {**FitTask.tunable, "weight_decay": "1e-6:0.1:log"}
    baselines: ClassVar[tuple[str, ...] | None] = (
        "relu(x)",
        "gelu(x)",
        "x*sigmoid(x)",
        "elu(x)",
        "selu(x)",
        "tanh(x)",
        "sin(x)",
    )

    def table(self) -> tuple[np.ndarray, np.ndarray]:
        """Inputs ``(n, columns)`` and the target ``(n,)``."""
        raise NotImplementedError

    def make_problem(self, test: bool) -> Problem:
        """The training rows, and the validation or the test rows."""
        x, y = self.table()
        order = np.random.default_rng(SEED).permutation(len(y))
        first, second = round(0.6 * len(y)), round(0.8 * len(y))
        own = order[:first]

        def part(rows: np.ndarray) -> tuple[Tensor, Tensor]:
            inputs = (x[rows] - x[own].mean(0)) / x[own].std(0)
            target = (y[rows] - y[own].mean()) / y[own].std()
            return torch.from_numpy(inputs.astype(np.float32)), torch.from_numpy(target.astype(np.float32))[:, None]

        seen, hidden = part(own), part(order[second:] if test else order[first:second])

        def loss(model: nn.Module, generator: torch.Generator) -> Tensor:
            rows = torch.randint(len(own), (BATCH,), generator=generator)
            return nn.functional.mse_loss(model(seen[0][rows]), seen[1][rows])

        def measure(model: nn.Module) -> Mapping[str, float]:
            with torch.no_grad():
                found = [1 - float((model(a) - b).square().mean() / b.var(correction=0)) for a, b in (hidden, seen)]
            return {"score": found[0], "train_r2": found[1]}

        return Problem(seen[0], loss, measure)

    def network(self, make_activation: MakeActivation) -> nn.Module:
        """As many inputs as the table has columns, three hidden layers of 32, one output."""
        return coordinate_network(make_activation, self.problem(False).example.shape[1], WIDTH, DEPTH, 1)


class Diabetes(TableTask):
    """scikit-learn's diabetes table, 442 rows: regression by a small perceptron; R2."""

    name = "table-diabetes"

    def table(self) -> tuple[np.ndarray, np.ndarray]:
        """The 442 patients."""
        return diabetes()


class Housing(TableTask):
    """A generated table like California's housing, 5,000 rows: regression by a small perceptron; R2."""

    name = "table-housing"

    def table(self) -> tuple[np.ndarray, np.ndarray]:
        """The made-up districts."""
        return housing()
