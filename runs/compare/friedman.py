"""A regression task of one's own: Friedman's first function with noise (Friedman 1991, Annals of Statistics 19).

Its loss is minimized as it is: the class says so, and returns it without a minus sign. The standard deviation of the
noise, 1, is the lowest root mean square error that any model can have.
"""

from __future__ import annotations

import torch
from sklearn.datasets import make_friedman1
from torch import nn

from symact import Outcome


class Friedman:
    """Two hidden layers of 32 on 1,000 examples; the score is the error on 2,000 others."""

    name, sites = "friedman", 2
    metric, direction, number_format = "RMSE", "minimize", ".3f"

    def __init__(self, data=None):
        x, y = make_friedman1(n_samples=3000, noise=1.0, random_state=0)
        self.x, self.y = torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
        self.x = (self.x - 0.5) / 12**-0.5
        self.mean, self.std = self.y[:1000].mean(), self.y[:1000].std()

    def evaluate(self, make_activation, seed, budget=1.0):
        torch.manual_seed(seed)
        model = nn.Sequential(
            nn.Linear(10, 32), make_activation(), nn.Linear(32, 32), make_activation(), nn.Linear(32, 1)
        )
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
        target = (self.y[:1000] - self.mean) / self.std
        for _ in range(max(1, round(30 * budget))):
            for rows in torch.randperm(1000).split(50):
                loss = nn.functional.mse_loss(model(self.x[rows]).squeeze(1), target[rows])
                if not loss.isfinite():
                    return Outcome.failed("diverged", "the loss became non-finite")
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        with torch.no_grad():
            predicted = model(self.x[1000:]).squeeze(1) * self.std + self.mean
        return Outcome.finished(nn.functional.mse_loss(predicted, self.y[1000:]).sqrt())
