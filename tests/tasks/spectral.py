"""Spectral solutions of the equations of `symact.tasks.equations`, and the script that stores them.

python -m tests.tasks.spectral
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from symact.tasks.equations import EQUATIONS

TIMES, PLACES = np.linspace(0, 1, 21), 64
STORED = Path(__file__).parents[2] / "symact" / "tasks" / "references" / "equations.npz"
Solution = tuple[np.ndarray, np.ndarray, np.ndarray]  # x, t, u of shape (t, x)


def periodic(
    initial: Callable[[np.ndarray], np.ndarray],
    low: float,
    high: float,
    linear: Callable[[np.ndarray], np.ndarray],
    nonlinear: Callable[[np.ndarray, np.ndarray], np.ndarray],
    modes: int = 512,
    steps: int = 800,
) -> Solution:
    """u_t = L u + N(u) on a circle: Fourier in x, Runge-Kutta of order four with the integrating factor of L in t.

    Args:
        initial: u at time 0.
        low: of x.
        high: of x.
        linear: wave numbers -> L in Fourier space.
        nonlinear: (transform of u, wave numbers) -> transform of N.
        modes: points in x.
        steps: in time, a multiple of the intervals between `TIMES`.
    """
    x = low + (high - low) * np.arange(modes) / modes
    k = 2 * math.pi * np.fft.fftfreq(modes, (high - low) / modes)
    h = 1 / steps
    half = np.exp(linear(k) * h / 2)
    v, rows = np.fft.fft(initial(x)).astype(complex), []
    keep = np.abs(k) < 2 / 3 * np.abs(k).max()  # no aliasing of products
    for step in range(steps + 1):
        if step % (steps // (len(TIMES) - 1)) == 0:
            rows.append(np.fft.ifft(v).real)
        a = h * keep * nonlinear(v, k)
        b = h * keep * nonlinear(half * (v + a / 2), k)
        c = h * keep * nonlinear(half * v + b / 2, k)
        d = h * keep * nonlinear(half**2 * v + half * c, k)
        v = half**2 * v + (half**2 * a + 2 * half * (b + c) + d) / 6
    stride = modes // PLACES
    return x[::stride], TIMES, np.stack(rows)[:, ::stride]


def burgers(viscosity: float) -> Solution:
    """u_t + u u_x = viscosity u_xx, u(0, x) = -sin(pi x): odd and periodic, so zero at -1 and 1."""
    square = lambda v, k: -0.5j * k * np.fft.fft(np.fft.ifft(v).real ** 2)
    return periodic(lambda x: -np.sin(math.pi * x), -1, 1, lambda k: -viscosity * k**2, square)


def allen_cahn(reaction: float) -> Solution:
    """u_t = 0.001 u_xx + reaction (u - u^3), u(0, x) = x^2 cos(pi x), periodic."""
    cube = lambda v, k: -reaction * np.fft.fft(np.fft.ifft(v).real ** 3)
    return periodic(lambda x: x**2 * np.cos(math.pi * x), -1, 1, lambda k: -1e-3 * k**2 + reaction, cube)


def convection(speed: float) -> Solution:
    """u_t + speed u_x = 0, u(0, x) = sin(x): every mode turns at its own rate."""
    return periodic(np.sin, 0, 2 * math.pi, lambda k: -1j * speed * k, lambda v, k: 0 * v, PLACES, 20)


def helmholtz(waves: float, points: int = 32) -> Solution:
    """u_xx + u_yy + u = q, zero on the edge of the square: Chebyshev collocation (Trefethen 2000, program 16)."""
    n = np.arange(points + 1)
    x = np.cos(math.pi * n / points)
    weights = np.where((n == 0) | (n == points), 2.0, 1.0) * (-1.0) ** n
    gaps = x[:, None] - x[None, :]
    d = np.outer(weights, 1 / weights) / (gaps + np.eye(points + 1))
    d -= np.diag(d.sum(1))
    inner = (d @ d)[1:-1, 1:-1]
    one = np.eye(points - 1)
    xs, ys = np.meshgrid(x[1:-1], x[1:-1])  # rows are y
    wanted = np.sin(math.pi * xs) * np.sin(waves * math.pi * ys)
    q = (1 - (1 + waves**2) * math.pi**2) * wanted
    operator = np.kron(one, inner) + np.kron(inner, one) + np.eye((points - 1) ** 2)
    u = np.zeros((points + 1, points + 1))
    u[1:-1, 1:-1] = np.linalg.solve(operator, q.ravel()).reshape(points - 1, points - 1)
    return x, x, u


SOLVERS = {"burgers": burgers, "helmholtz": helmholtz, "allen-cahn": allen_cahn, "convection": convection}


def solutions() -> dict[str, np.ndarray]:
    """What `symact.tasks.equations.references` reads."""
    found = {}
    for name, solve in SOLVERS.items():
        for part, constant in zip(("search", "test"), EQUATIONS[name].constants, strict=True):
            for axis, array in zip("xtu", solve(constant), strict=True):
                found[f"{name}-{part}-{axis}"] = array.astype(np.float32)
    return found


if __name__ == "__main__":
    np.savez_compressed(STORED, **solutions())
