# ruff: noqa: F821
# mypy: ignore-errors
"""Mathematics of Triton kernels that is the same text in every precision, as `math32` and `math64` are text."""

import triton
import triton.language as tl


@triton.jit
def maximum(a, b):
    return tl.maximum(a, b, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def minimum(a, b):
    return tl.minimum(a, b, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def sinh_series(x):
    z = x * x
    return x + x * z * polynomial_sinh(z)


@triton.jit
def tan(x):
    return quotient(tl.sin(x), tl.cos(x))


@triton.jit
def sinc(x):
    small = tl.abs(x) < 1e-9
    b = tl.where(small, 1.0, x)
    return tl.where(small, 1.0, quotient(tl.sin(b), b))


@triton.jit
def sum_rest(a, b):
    """What rounding takes from a + b."""
    s = a + b
    c = s - a
    return (a - (s - c)) + (b - c)


@triton.jit
def cos_sum(a, b):
    """cos(a + b), for the same arguments as `sin_sum`."""
    return tl.cos(a) * cosine_of_rest(b) - tl.sin(a) * sine_of_rest(b)
