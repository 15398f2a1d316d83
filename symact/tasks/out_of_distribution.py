"""Generalization out of distribution: small networks on synthetic functions, measured where no example lay (`ood-*`).

After Vitvitskyi et al. 2026, Mining Generalizable Activation Functions (arXiv:2602.05688): small perceptrons learn
polynomials, spherical harmonics and equations of Feynman's lectures in one region, and the error in another region is
the fitness. The kinds of functions and the fitness are the paper's. Its sizes were not at hand, so these are chosen
here: six targets a task, learned by one network with six outputs; 512 examples; two hidden layers of 64; regions that
touch those of the examples and are about as large. The test is six other targets.

The score is log10 of the relative L2 error out of distribution, the mean over the targets, so that a factor counts
the same on each of them and one wild extrapolation does not decide. Targets are measured from their mean over the
examples, so 0 is the error of a network that says this mean everywhere. `in_distribution` among the metrics is the
same on fresh points of the region of the examples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from symact.tasks.fitting import FitTask, Problem, coordinate_network
from symact.tasks.networks import MakeActivation

EXAMPLES, MEASURED, TARGETS = 512, 2048, 6
WIDTH, DEPTH, BATCH = 64, 2, 128
SEEDS = {False: 0, True: 1}  # of points and targets, of the search and of the test
DEGREE = 4  # of polynomials and harmonics
SMALLEST = 1e-8  # of an error, relative

# Of the paper's own finds those that are formulas of x alone; secondary sources differ on whether GELU and sinc are
# added or multiplied, so both stand here. Snake (arXiv:2006.08195) and squares suit periodic and polynomial targets.
BASELINES = (
    "relu(x)",
    "gelu(x)",
    "x*sigmoid(x)",
    "elu(x)",
    "tanh(x)",
    "sin(x)",
    "x + sin(x)**2",
    "x**2",
    "relu(x)**2",
    "gelu(x) + 0.1*sin(x)",
    "gelu(x)*(1 + 0.5*sinc(x))",
    "gelu(x) + 0.5*sinc(x)",
    "tanh(1.5*x)*exp(-0.2*x**2) + 0.2*x",
)

Target = Callable[[np.ndarray], np.ndarray]

# Equations of the Feynman lectures, as arXiv:1905.11481 lists them, of three variables that are drawn alike.
FEYNMAN: dict[bool, tuple[Target, ...]] = {
    False: (
        lambda v: v[0] * v[1] / v[2] ** 2,  # I.12.2, Coulomb's law
        lambda v: 0.5 * v[0] * (v[1] ** 2 + v[2] ** 2),  # I.24.6, an oscillator's energy
        lambda v: v[0] / np.sqrt(1 - (v[1] / (v[2] + 4)) ** 2),  # I.10.7, mass at a speed
        lambda v: (v[0] * v[1] + v[2]) / (1 + v[0] * v[1] / 9),  # I.16.6, speeds added
        lambda v: v[0] * (np.cos(v[1] * v[2]) + 0.5 * np.cos(v[1] * v[2]) ** 2),  # I.50.26, an anharmonic wave
        lambda v: np.exp(-((v[0] - v[1]) ** 2) / (2 * v[2] ** 2)) / (math.sqrt(2 * math.pi) * v[2]),  # I.6.20, Gauss
    ),
    True: (
        lambda v: v[0] * v[1] * v[2],  # I.14.3, potential energy
        lambda v: v[0] * v[1] ** 2 / v[2],  # I.12.1 and its kind, a centripetal force
        lambda v: 1 / (1 / v[0] + v[1] / v[2]),  # I.27.6, a lens
        lambda v: v[0] * np.sin(v[1] * v[2] / 2) ** 2,  # I.30.3, a grating of one slit
        lambda v: np.sqrt(v[0] ** 2 + v[1] ** 2 - 2 * v[0] * v[1] * np.cos(v[2])),  # I.29.16, two waves together
        lambda v: v[0] * np.exp(-v[1] / v[2]),  # I.40.1, density in a field
    ),
}


def polynomials(generator: np.random.Generator, inputs: int) -> tuple[Target, ...]:
    """`TARGETS` random polynomials of degree 2 to `DEGREE`: sums of four monomials with normal coefficients."""

    def made(degree: int) -> Target:
        powers = generator.multinomial(degree, np.full(inputs, 1 / inputs), 4)
        coefficients = generator.standard_normal(4)
        return lambda v: np.einsum("k,kn->n", coefficients, np.prod(v[None] ** powers[:, :, None], axis=1))

    return tuple(made(2 + number % (DEGREE - 1)) for number in range(TARGETS))


def harmonics(generator: np.random.Generator) -> tuple[Target, ...]:
    """`TARGETS` random sums of real spherical harmonics of degree 1 to `DEGREE`, by their projection formula.

    The Legendre polynomial of degree l of the cosine of the angle to a fixed direction is a harmonic of degree l, and
    such functions span all of that degree.
    """

    def made(degree: int) -> Target:
        axes = generator.standard_normal((3, 3))
        axes /= np.linalg.norm(axes, axis=1, keepdims=True)
        weights, series = generator.standard_normal(3), np.polynomial.legendre.Legendre.basis(degree)
        return lambda v: weights @ series(axes @ v)

    return tuple(made(1 + number % DEGREE) for number in range(TARGETS))


class OutOfDistribution(FitTask):
    """Six functions at once by two hidden layers of 64; log10 of the error outside the region of the examples."""

    metric, direction, number_format = "log10 of the relative L2 error", "minimize", ".3f"
    sites, steps, rate = DEPTH, 400, 5e-3
    baselines: ClassVar[tuple[str, ...] | None] = BASELINES
    inputs: ClassVar[int] = 3

    def targets(self, test: bool) -> tuple[Target, ...]:
        """The functions of the search or of the test, each ``(inputs, n) -> (n,)``."""
        raise NotImplementedError

    def points(self, generator: np.random.Generator, count: int, outside: bool) -> np.ndarray:
        """Points of the region of the examples, or of the other one, ``(inputs, count)``."""
        raise NotImplementedError

    def make_problem(self, test: bool) -> Problem:
        """The targets of the search or of the test; outputs are standardized by the examples."""
        generator, targets = np.random.default_rng([SEEDS[test], 20260205]), self.targets(test)
        drawn = [self.points(generator, n, out) for n, out in ((EXAMPLES, False), (MEASURED, True), (MEASURED, False))]
        values = [np.stack([target(points) for target in targets]) for points in drawn]
        mean, deviation = values[0].mean(1, keepdims=True), values[0].std(1, keepdims=True)
        centre, spread = drawn[0].mean(1, keepdims=True), drawn[0].std(1, keepdims=True)
        x = [torch.from_numpy(((points - centre) / spread).T.astype(np.float32)) for points in drawn]
        y = [torch.from_numpy(((value - mean) / deviation).T.astype(np.float32)) for value in values]

        def loss(model: nn.Module, generator: torch.Generator) -> Tensor:
            rows = torch.randint(EXAMPLES, (BATCH,), generator=generator)
            return nn.functional.mse_loss(model(x[0][rows]), y[0][rows])

        def error(model: nn.Module, part: int) -> float:
            with torch.no_grad():
                gap = (model(x[part]) - y[part]).double().norm(dim=0) / y[part].double().norm(dim=0)
            return float(gap.clamp_min(SMALLEST).log10().mean())

        def measure(model: nn.Module) -> Mapping[str, float]:
            return {"score": error(model, 1), "in_distribution": error(model, 2)}

        return Problem(x[0], loss, measure)

    def network(self, make_activation: MakeActivation) -> nn.Module:
        """Two hidden layers of 64, an output for each target."""
        return coordinate_network(make_activation, self.inputs, WIDTH, DEPTH, TARGETS)


class OODPolynomial(OutOfDistribution):
    """Random polynomials of three variables: examples in a cube, measured in the shell around it; log10 error."""

    name = "ood-polynomial"

    def targets(self, test: bool) -> tuple[Target, ...]:
        """Six random polynomials."""
        return polynomials(np.random.default_rng(SEEDS[test]), self.inputs)

    def points(self, generator: np.random.Generator, count: int, outside: bool) -> np.ndarray:
        """Of the cube [-1, 1]^3, or of [-1.3, 1.3]^3 without it, which is about as large."""
        if not outside:
            return generator.uniform(-1, 1, (3, count))
        drawn = generator.uniform(-1.3, 1.3, (3, 4 * count))
        return drawn[:, np.abs(drawn).max(0) > 1][:, :count]


class OODHarmonic(OutOfDistribution):
    """Random spherical harmonics: examples on half of the sphere, measured on the next quarter; log10 error."""

    name = "ood-harmonic"

    def targets(self, test: bool) -> tuple[Target, ...]:
        """Six random sums of harmonics."""
        return harmonics(np.random.default_rng(SEEDS[test]))

    def points(self, generator: np.random.Generator, count: int, outside: bool) -> np.ndarray:
        """Of the sphere where z < 0, or where 0 < z < 0.5; z is uniform on a sphere."""
        z = generator.uniform(0, 0.5, count) if outside else generator.uniform(-1, 0, count)
        angle, radius = generator.uniform(0, 2 * math.pi, count), np.sqrt(1 - z**2)
        return np.stack([radius * np.cos(angle), radius * np.sin(angle), z])


class OODFeynman(OutOfDistribution):
    """Six of Feynman's equations: examples with variables in [1, 2], measured in [2, 2.5]; log10 of the error."""

    name = "ood-feynman"

    def targets(self, test: bool) -> tuple[Target, ...]:
        """Six equations of three variables."""
        return FEYNMAN[test]

    def points(self, generator: np.random.Generator, count: int, outside: bool) -> np.ndarray:
        """Of the cube [1, 2]^3, or beyond it: every variable in [1, 2.5], at least one above 2."""
        if not outside:
            return generator.uniform(1, 2, (3, count))
        drawn = generator.uniform(1, 2.5, (3, 4 * count))
        return drawn[:, drawn.max(0) > 2][:, :count]
