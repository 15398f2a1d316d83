"""Regression on tables: three parts that share no row, scaled by the training rows alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from symact.activation.module import Activation
from symact.tasks.tables import Diabetes, Housing, TableTask, housing


class Line(TableTask):
    """A target that a linear function gives exactly."""

    def table(self) -> tuple[np.ndarray, np.ndarray]:
        x = np.random.default_rng(1).standard_normal((200, 3)) * [1, 10, 100]
        return x, x @ [1.0, 0.1, 0.01] + 5


def test_the_mean_of_the_training_rows_has_an_r2_of_zero() -> None:
    class Mean(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(x), 1)

    assert Line().problem(False).measure(Mean())["train_r2"] == pytest.approx(0, abs=1e-5)


def test_a_line_is_learned_and_the_test_rows_are_others() -> None:
    outcome = Line().final_test(lambda: Activation("tanh(x)"), 0)
    assert outcome.score > 0.95
    assert outcome.metrics["test_score"] > 0.9
    assert outcome.metrics["test_score"] != outcome.score


@pytest.mark.parametrize("task", [Diabetes, Housing])
def test_training_rows_have_mean_zero_and_deviation_one(task: type[TableTask]) -> None:
    rows = task().problem(False).example
    assert rows.mean(0).abs().max() < 1e-4
    assert (rows.std(0) - 1).abs().max() < 0.01


def test_the_generated_table_is_always_the_same_and_no_line() -> None:
    x, y = housing()
    assert np.array_equal(x, housing()[0])
    assert np.isfinite(x).all()
    assert np.isfinite(y).all()
    linear = np.linalg.lstsq(np.c_[x, np.ones(len(x))], y, rcond=None)[0]
    explained = 1 - (y - np.c_[x, np.ones(len(x))] @ linear).var() / y.var()
    assert explained < 0.85
    assert Housing().evaluate(lambda: Activation("gelu(x)"), 0).score > explained + 0.03
