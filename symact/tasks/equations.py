"""Physics-informed networks: a network that solves a differential equation (`pinn-*`; Raissi et al. 2019).

Nothing of the solution is shown: the loss is the equation's residual at points drawn anew in every step. Initial and
boundary conditions hold by construction, so that no weight between terms of the loss has to be chosen. The score is
log10 of the relative L2 error against a reference that a spectral method computed (`references/equations.npz`; the
methods are in the tests). `final_test` solves the same equation with another constant.

An equation of order two needs two derivatives of the activation. A function whose slope jumps, such as ReLU, has none
that autograd would see, so it is rejected before anything is trained (`missing_derivative`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from symact.tasks.fitting import FitTask, Problem, coordinate_network
from symact.tasks.networks import MakeActivation

POINTS = 256  # of the residual, per step
WIDTH, DEPTH = 32, 3
GRID, INTERVAL, REFINED = 4001, 4.0, 1001
TOLERANCE = 1e-3  # of the range of a derivative: a smaller jump is taken for rounding

# Tanh is the custom, sines and Gauss functions are the rivals; each with several slopes, so that the best is tuned.
BASELINES = (
    "tanh(x)",
    "tanh(2*x)",
    "sin(x)",
    "sin(2*x)",
    "sin(3*x)",
    "sin(4*x)",
    "x*sigmoid(x)",
    "gelu(2*x)",
    "exp(-x**2)",
    "exp(-(2*x)**2)",
)


def derivatives(of: Tensor, *by: Tensor) -> tuple[Tensor, ...]:
    """The derivatives of each row of `of` in the same rows of each of `by`, themselves differentiable."""
    if not of.requires_grad:
        return tuple(torch.zeros_like(tensor) for tensor in by)
    return torch.autograd.grad(of.sum(), by, create_graph=True, materialize_grads=True)


@dataclass(frozen=True)
class Equation:
    """An equation in two coordinates, `x` and `t` (Helmholtz: x and y).

    Attributes:
        low: of x and t.
        high: of x and t.
        constants: that of the search, and that of the test.
        periodic: in x.
        solution: (network's output, x, t, constant) -> u, which obeys the initial and boundary conditions.
        residual: (u, x, t, constant) -> what is zero for a solution.
        order: the highest derivative.
    """

    low: tuple[float, float]
    high: tuple[float, float]
    constants: tuple[float, float]
    periodic: bool
    solution: Callable[[Tensor, Tensor, Tensor, float], Tensor]
    residual: Callable[[Tensor, Tensor, Tensor, float], Tensor]
    order: int

    def inputs(self, x: Tensor, t: Tensor) -> Tensor:
        """What the network reads, ``(n, 2)`` in [-1, 1], or ``(n, 3)`` with x on a circle where it is periodic."""
        (x0, t0), (x1, t1) = self.low, self.high
        time = 2 * (t - t0) / (t1 - t0) - 1
        if not self.periodic:
            return torch.cat([2 * (x - x0) / (x1 - x0) - 1, time], 1)
        angle = 2 * math.pi * (x - x0) / (x1 - x0)
        return torch.cat([torch.cos(angle), torch.sin(angle), time], 1)

    def value(self, model: nn.Module, x: Tensor, t: Tensor, constant: float) -> Tensor:
        """The network's u at points ``(n, 1)``."""
        return self.solution(model(self.inputs(x, t)), x, t, constant)


def _burgers(u: Tensor, x: Tensor, t: Tensor, viscosity: float) -> Tensor:
    u_x, u_t = derivatives(u, x, t)
    return u_t + u * u_x - viscosity * derivatives(u_x, x)[0]


def _allen_cahn(u: Tensor, x: Tensor, t: Tensor, reaction: float) -> Tensor:
    u_x, u_t = derivatives(u, x, t)
    return u_t - 1e-3 * derivatives(u_x, x)[0] - reaction * (u - u**3)


def _convection(u: Tensor, x: Tensor, t: Tensor, speed: float) -> Tensor:
    # In units of the speed, so that the scale of the loss is that of the other equations.
    u_x, u_t = derivatives(u, x, t)
    return u_t / speed + u_x


def _helmholtz(u: Tensor, x: Tensor, y: Tensor, waves: float) -> Tensor:
    """Of u_xx + u_yy + u = q, where q is such that sin(pi x) sin(waves pi y) solves it; in units of q."""
    eigenvalue = 1 - (1 + waves**2) * math.pi**2
    u_x, u_y = derivatives(u, x, y)
    laplacian = derivatives(u_x, x)[0] + derivatives(u_y, y)[0]
    wanted = torch.sin(math.pi * x) * torch.sin(waves * math.pi * y)
    return (laplacian + u) / eigenvalue - wanted


EQUATIONS = {
    "burgers": Equation(
        (-1, 0),
        (1, 1),
        (0.03, 0.02),
        False,
        lambda n, x, t, _: -torch.sin(math.pi * x) + t * (1 - x**2) * n,
        _burgers,
        2,
    ),
    "helmholtz": Equation(
        (-1, -1), (1, 1), (2.0, 3.0), False, lambda n, x, y, _: (1 - x**2) * (1 - y**2) * n, _helmholtz, 2
    ),
    "allen-cahn": Equation(
        (-1, 0),
        (1, 1),
        (3.0, 4.0),
        True,
        lambda n, x, t, _: x**2 * torch.cos(math.pi * x) + t * n,
        _allen_cahn,
        2,
    ),
    "convection": Equation(
        (0, 0), (2 * math.pi, 1), (8.0, 10.0), True, lambda n, x, t, _: torch.sin(x) + t * n, _convection, 1
    ),
}


@lru_cache(maxsize=1)
def references() -> dict[str, np.ndarray]:
    """The stored solutions: `NAME-search-x`, `-t` and `-u` ``(t, x)``, the same with `test`."""
    with resources.files("symact.tasks").joinpath("references/equations.npz").open("rb") as file:
        found = np.load(file, allow_pickle=False)
        return {key: found[key] for key in found.files}


def missing_derivative(make_activation: MakeActivation, order: int) -> str:
    """Why an equation of that order cannot be learned with this function, `""` if it can.

    Each derivative must be the integral of the next, between -4 and 4: a jump in between is seen by no autograd. A
    bend is no jump: ELU's slope is continuous, so its second derivative serves.
    """
    activation = make_activation().double()

    def orders(points: Tensor) -> list[Tensor]:
        z = points[:, None].requires_grad_()
        found = [activation(z)]
        for _ in range(order):
            found += derivatives(found[-1], z)
        return [tensor.detach()[:, 0] for tensor in found]

    ordinals = ("value", "slope", "second derivative")
    grid = torch.linspace(-INTERVAL, INTERVAL, GRID, dtype=torch.float64)
    values = orders(grid)
    usable = torch.isfinite(values[0])
    if not usable.any():
        return f"it is finite nowhere between -{INTERVAL:g} and {INTERVAL:g}"
    for number in range(order):
        lower, higher = values[number], values[number + 1]
        broken = usable & ~torch.isfinite(higher)
        if broken.any():
            return f"its {ordinals[number + 1]} is not finite at {float(grid[broken][0]):.3g}"
        allowed = TOLERANCE * float(lower[usable].max() - lower[usable].min()) + 1e-12
        gaps = torch.where(usable[1:] & usable[:-1], _gaps(grid, lower, higher), 0.0)
        for cell in torch.nonzero(gaps > allowed).flatten().tolist()[:20]:
            fine = torch.linspace(float(grid[cell]), float(grid[cell + 1]), REFINED, dtype=torch.float64)
            again = orders(fine)
            if float(_gaps(fine, again[number], again[number + 1]).max()) > allowed:
                place = f"{round(float(fine.mean()), 2) + 0.0:g}"
                what = f"its {ordinals[number]} jumps or is vertical at {place}"
                return f"{what}, and the equation needs its {ordinals[number + 1]}"
    spread = float(values[order][usable].abs().max())
    if order > 1 and spread <= 1e-9 * float(values[order - 1][usable].abs().max()):
        return f"its {ordinals[order]} is zero everywhere, and the equation needs one"
    return ""


def _gaps(points: Tensor, lower: Tensor, higher: Tensor) -> Tensor:
    """By how much the trapezoids of the higher derivative miss the differences of the lower one, per cell."""
    integral = (points[1:] - points[:-1]) * (higher[1:] + higher[:-1]) / 2
    return (lower[1:] - lower[:-1] - integral).abs()


class EquationTask(FitTask):
    """Solve `EQUATIONS[equation]` with three hidden layers of 32."""

    metric, direction, number_format = "log10 of the relative L2 error", "minimize", ".3f"
    sites, steps, rate = DEPTH, 300, 5e-3
    baselines: ClassVar[tuple[str, ...] | None] = BASELINES
    equation: ClassVar[str] = ""

    def make_problem(self, test: bool) -> Problem:
        """The equation with the constant of the search or of the test."""
        own, part = EQUATIONS[self.equation], "test" if test else "search"
        constant = own.constants[test]
        stored = (torch.from_numpy(references()[f"{self.equation}-{part}-{axis}"]) for axis in "xtu")
        x, t, u = stored
        every_t, every_x = (axis.reshape(-1, 1) for axis in torch.meshgrid(t, x, indexing="ij"))
        low, high = torch.tensor(own.low), torch.tensor(own.high)

        def loss(model: nn.Module, generator: torch.Generator) -> Tensor:
            drawn = low + (high - low) * torch.rand(POINTS, 2, generator=generator)
            x, t = (column.clone().requires_grad_() for column in drawn.split(1, 1))
            return own.residual(own.value(model, x, t, constant), x, t, constant).square().mean()

        def measure(model: nn.Module) -> Mapping[str, float]:
            with torch.no_grad():
                found = own.value(model, every_x, every_t, constant).reshape(u.shape)
            error = float((found - u).double().norm() / u.double().norm())
            return {"score": math.log10(error) if error > 0 else -16.0, "relative_l2": error}

        return Problem(own.inputs(every_x[:2], every_t[:2]), loss, measure)

    def network(self, make_activation: MakeActivation) -> nn.Module:
        """Two coordinates (three where x is on a circle), three hidden layers of 32, one value."""
        return coordinate_network(make_activation, 3 if EQUATIONS[self.equation].periodic else 2, WIDTH, DEPTH, 1)

    def unfit(self, make_activation: MakeActivation) -> str:
        """Which derivative that the equation needs is missing."""
        order = EQUATIONS[self.equation].order
        return next(filter(None, [missing_derivative(make_activation, order) for _ in range(self.sites)]), "")


class Burgers(EquationTask):
    """Burgers' equation with a steepening front, by a physics-informed network; log10 of the relative L2 error."""

    name, equation = "pinn-burgers", "burgers"


class Helmholtz(EquationTask):
    """Helmholtz' equation on a square, by a physics-informed network; log10 of the relative L2 error."""

    name, equation = "pinn-helmholtz", "helmholtz"


class AllenCahn(EquationTask):
    """The Allen-Cahn equation of separating phases, by a physics-informed network; log10 of the relative L2 error."""

    name, equation = "pinn-allen-cahn", "allen-cahn"


class Convection(EquationTask):
    """A wave that is carried along, by a physics-informed network; log10 of the relative L2 error."""

    name, equation = "pinn-convection", "convection"
