"""Physics-informed networks: spectral references, conditions by construction, derivatives that must exist."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from symact.activation.module import Activation
from symact.records import Status
from symact.tasks.equations import EQUATIONS, Burgers, Convection, missing_derivative, references
from tests.tasks import spectral


@pytest.fixture(scope="module")
def solved() -> dict[str, np.ndarray]:
    return spectral.solutions()


@pytest.mark.parametrize("name", EQUATIONS)
@pytest.mark.parametrize("part", ["search", "test"])
def test_what_is_stored_is_what_the_spectral_method_gives(name: str, part: str, solved: dict[str, np.ndarray]) -> None:
    for axis in "xtu":
        key = f"{name}-{part}-{axis}"
        np.testing.assert_allclose(references()[key], solved[key], atol=1e-6)


def test_the_spectral_methods_agree_with_what_is_known() -> None:
    x, y, u = spectral.helmholtz(3.0)
    assert np.abs(u - np.sin(np.pi * x[None, :]) * np.sin(3 * np.pi * y[:, None])).max() < 1e-9
    x, t, u = spectral.convection(8.0)
    assert np.abs(u - np.sin(x[None, :] - 8 * t[:, None])).max() < 1e-12
    # Cole and Hopf: u = -2 viscosity phi_x/phi, phi a convolution with a Gauss function.
    x, t, u = spectral.burgers(0.03)
    points, viscosity = np.linspace(-6, 6, 24001), 0.03
    start = np.exp(-(np.cos(np.pi * points)) / (2 * np.pi * viscosity))
    for row in (5, 20):
        heat = np.exp(-((x[:, None] - points[None, :]) ** 2) / (4 * viscosity * t[row])) * start
        exact = (heat * (x[:, None] - points[None, :])).sum(1) / heat.sum(1) / t[row]
        assert np.abs(u[row] - exact).max() < 1e-6


@pytest.mark.parametrize("name", EQUATIONS)
def test_a_solution_leaves_no_residual_and_another_function_does(name: str) -> None:
    """The exact solution of Helmholtz and of convection, in the place of the network."""
    equation, constant = EQUATIONS[name], EQUATIONS[name].constants[0]
    generator = torch.Generator().manual_seed(0)
    x, t = (0.1 + 0.7 * torch.rand(50, 1, generator=generator, dtype=torch.float64) for _ in range(2))
    x, t = x.requires_grad_(), t.requires_grad_()
    wrong = equation.residual(torch.cos(3 * x + t), x, t, constant)
    assert wrong.abs().max() > 0.1
    exact = {
        "helmholtz": lambda: torch.sin(torch.pi * x) * torch.sin(constant * torch.pi * t),
        "convection": lambda: torch.sin(x - constant * t),
        # Stationary fronts and waves of the two others.
        "allen-cahn": lambda: torch.tanh(x * (constant / 2 / 1e-3) ** 0.5) + 0 * t,
        "burgers": lambda: 0.5 - 0.5 * torch.tanh((x - 0.5 * t) / (4 * constant)),
    }[name]
    assert equation.residual(exact(), x, t, constant).abs().max() < 1e-9


@pytest.mark.parametrize("name", EQUATIONS)
def test_initial_and_boundary_conditions_hold_for_every_network(name: str) -> None:
    equation, constant = EQUATIONS[name], EQUATIONS[name].constants[0]
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3 if equation.periodic else 2, 8), nn.Tanh(), nn.Linear(8, 1))
    x, t, u = (torch.from_numpy(references()[f"{name}-search-{axis}"]) for axis in "xtu")
    with torch.no_grad():
        first = equation.value(model, x[:, None], torch.full((len(x), 1), equation.low[1]), constant)
        left, right = (
            equation.value(model, torch.full((len(t), 1), float(edge)), t[:, None], constant)
            for edge in (equation.low[0], equation.high[0])
        )
    known = u[0] if name != "helmholtz" else torch.zeros(len(x))
    assert torch.allclose(first[:, 0], known, atol=1e-5)
    assert torch.allclose(left, right, atol=1e-5)


SMOOTH = ["tanh(x)", "sin(30*x)", "x*sigmoid(8*x)", "gelu(x)", "exp(-(6*x)**2)", "mish(x)", "sinc(10*x)", "x**3"]
BENT = ["elu(x)", "elu(8*x)", "x*abs(x)", "relu(x)**2", "softsign(x)"]
KINKED = ["relu(x)", "abs(x)", "max(tanh(x), 0.5*x)", "selu(x)", "exp(-abs(x - 0.3))", "tanh(abs(2*x))"]
JUMPING = ["sign(x)", "where(x > 0.37, 1 + x, x)", "floor(x)*x"]


@pytest.mark.parametrize("text", SMOOTH + BENT)
def test_functions_with_a_second_derivative_are_accepted(text: str) -> None:
    assert missing_derivative(lambda: Activation(text), 2) == ""


@pytest.mark.parametrize("text", KINKED)
def test_a_kink_is_no_second_derivative_but_a_first(text: str) -> None:
    assert "slope jumps or is vertical at" in missing_derivative(lambda: Activation(text), 2)
    assert missing_derivative(lambda: Activation(text), 1) == ""


@pytest.mark.parametrize("text", JUMPING)
def test_a_jump_is_refused_for_every_equation(text: str) -> None:
    assert all(
        "value jumps or is vertical at" in missing_derivative(lambda: Activation(text), order) for order in (1, 2)
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0.3*x + 1", "second derivative is zero everywhere"),
        ("sqrt(abs(x))", "value jumps or is vertical at 0"),
        ("log(-1 - x**2)", "finite nowhere"),
    ],
)
def test_other_functions_without_the_derivatives_are_refused_with_the_reason(text: str, reason: str) -> None:
    assert reason in missing_derivative(lambda: Activation(text), 2)


def test_a_function_without_the_derivatives_is_rejected_before_training() -> None:
    outcome = Burgers().evaluate(nn.ReLU, 0)
    assert outcome.status is Status.rejected
    assert outcome.reason == "its slope jumps or is vertical at 0, and the equation needs its second derivative"
    assert outcome.metrics == {}
    assert Convection().evaluate(nn.ReLU, 0, 0.02).status is Status.finished


def test_the_score_is_the_logarithm_of_the_relative_error() -> None:
    outcome = Convection().evaluate(lambda: Activation("sin(2*x)"), 0, 0.1)
    assert outcome.score == pytest.approx(np.log10(outcome.metrics["relative_l2"]))
