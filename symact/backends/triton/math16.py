# ruff: noqa: F821
# mypy: ignore-errors
"""Mathematics of Triton kernels for bfloat16 and float16 tensors: what replaces functions of `math32`.

Computed in float32, results need relative errors of about 3e-6 only, less than a hundredth of an ulp of float16. So the
rounding of the argument of an exponential stays: it is |x|*2**-24, at most 6e-6 where bfloat16 has results, 1e-6 where
float16 has. Polynomials have fewer coefficients (`polynomials`).
"""

import triton
import triton.language as tl


@triton.jit
def exp(x):
    return ex2_full(x * 1.4426950408889634)


@triton.jit
def sigmoid(x):
    """1/(1 + exp(-x)), both parts of the ratio times 2**-24."""
    return reciprocal(ex2(fused(x, -1.4426950408889634, -24.0)) + 5.9604644775390625e-08) * 5.9604644775390625e-08


@triton.jit
def log1p_exp(a):
    """log(1 + exp(-a)) for a >= 0."""
    e = ex2(fused(a, -1.4426950408889634, 24.0))
    return twice_atanh(e * reciprocal(e + 33554432.0))


@triton.jit
def exp_half(x):
    return ex2(fused(x, 1.4426950408889634, -1.0))


@triton.jit
def exp_minus_square(x, y):
    """2**24 * exp(x*y) for x*y <= 0."""
    return ex2(fused(x * y, 1.4426950408889634, 24.0))


@triton.jit
def normal_tail(c):
    """ndtr(-|c|) for |c| <= 14.5, by an exponential times 2**24."""
    return ex2(fused(c * c, -0.7213475204444817, 24.0)) * half_erfcx(tl.abs(c)) * 5.9604644775390625e-08
