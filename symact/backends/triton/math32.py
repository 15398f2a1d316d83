# ruff: noqa: F821
# mypy: ignore-errors
"""Mathematics of Triton kernels in float32: source text, from which `library` copies what a kernel needs.

Exponentials, reciprocals and roots are the GPU's approximations, `intrinsics`. Where the rounding of an argument
would count it is made good for: `exp(x) = 2**h * (1 + r)` for the rounded h of x/log(2) and r = x - h*log(2), which
`fused` gives exactly. What may be subnormal, though the results of an approximation may not, is computed times 2**24.
Every function is within 6 ulp of the truth in the interpreter, where approximations are rounded correctly, and within
1e-6 of it if they are as wrong as they may be. Tests say so.

Sources of methods: W. J. Cody and W. Waite, Software Manual for the Elementary Functions (1980), for the reductions;
M. M. Shepherd and J. G. Laframboise, Math. Comp. 36 (1981) 249, for erfcx on the half line; T. J. Dekker, Numer.
Math. 18 (1971) 224, for numbers in two words.
"""

import triton
import triton.language as tl


@triton.jit
def without_subnormals(x):
    """What `.ftz` makes of a number; for twins."""
    return tl.where(tl.abs(x) < 1.1754943508222875e-38, x * 0.0, x)


@triton.jit
def clamped(x, limit: tl.constexpr):
    """x within +-limit, NaN for NaN: one instruction from sm_86 on."""
    return tl.clamp(x, -limit, limit, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def sign(x):
    return tl.where(x > 0.0, 1.0, tl.where(x < 0.0, -1.0, x))


@triton.jit
def with_sign_of(y, x):
    """A y >= 0 with the sign of x."""
    bits = y.to(tl.int32, bitcast=True) | (x.to(tl.int32, bitcast=True) & -2147483648)
    return bits.to(tl.float32, bitcast=True)


@triton.jit
def square_root(x):
    return root_full(x)


@triton.jit
def exp(x):
    c = clamped(x, 104.0)
    h = c * 1.4426950408889634
    return ex2_full(h) * (1.0 + fused(h, -0.6931471805599453, c))


@triton.jit
def exp_parts(x, LOG2_SCALE: tl.constexpr):
    """exp(x) * SCALE as y*(1 + r), for |x| <= 170.

    What is added and taken away rounds x/log(2) to a multiple of 2**-14, which leaves an r of 2e-5 at most, so that the
    scale changes it without rounding.
    """
    shifted = fused(x, 1.4426950408889634, 768.0)
    return ex2(shifted - (768.0 - LOG2_SCALE)), fused(shifted - 768.0, -0.6931471805599453, x)


@triton.jit
def exp_half(x):
    """exp(x)/2 for 0 <= x <= 104; infinite only where exp(x) is more than twice the largest number."""
    e, r = exp_parts(x, -1.0)
    return e * (1.0 + r)


@triton.jit
def expm1(x):
    """By a whole n and r with x = n*log(2) + r, |r| <= log(2)/2: 2**n * (expm1(r) + 1) - 1, halved against overflow."""
    c = minimum(maximum(x, -20.0), 89.0)
    shifted = fused(c, 1.4426950408889634, 12582912.0)
    n = shifted - 12582912.0
    r = fused(n, 1.904654323148236e-09, fused(n, -0.6931471824645996, c))
    half = ((shifted.to(tl.int32, bitcast=True) << 23) + 1056964608).to(tl.float32, bitcast=True)
    y = half * (r + r * r * polynomial_exp(r)) + (half - 0.5)
    return y + y


@triton.jit
def twice_atanh(s):
    """log((1 + s)/(1 - s)) for |s| <= 1/3."""
    z = s * s
    return s * z * polynomial_log(z) + (s + s)


@triton.jit
def log_of_parts(exponent, f):
    """k*log(2) + log(1 + f), -1/3 <= f <= 1/2, where `exponent` is k*2**23."""
    k = exponent.to(tl.float32)
    return fused(k, 8.262958294867817e-08, twice_atanh(f * reciprocal(f + 2.0)))


@triton.jit
def only_positive(x, y):
    """y, but where x is no positive finite number what a logarithm of it is."""
    ordinary = (x.to(tl.int32, bitcast=True) - 1).to(tl.uint32, bitcast=True) < 2139095039
    return tl.where(ordinary, y, lg2_full(x))


@triton.jit
def log(x):
    small = x < 1.1754943508222875e-38
    bits = tl.where(small, x * 8388608.0, x).to(tl.int32, bitcast=True)
    exponent = (bits - 1059760811) & -8388608
    m = (bits - exponent).to(tl.float32, bitcast=True)
    return only_positive(x, log_of_parts(exponent - tl.where(small, 192937984, 0), m - 1.0))


@triton.jit
def log1p(x):
    """Of 1 + x only the exponent k is taken, and x*2**-k + (2**-k - 1) is m - 1 without the rounding of 1 + x."""
    u = 1.0 + x
    exponent = (u.to(tl.int32, bitcast=True) - 1061158912) & -8388608
    scale = (1082130432 - exponent).to(tl.float32, bitcast=True)
    f = (x.to(tl.int32, bitcast=True) - exponent).to(tl.float32, bitcast=True) + fused(scale, 0.25, -1.0)
    return only_positive(u, log_of_parts(exponent, f))


@triton.jit
def log1p_exp(a):
    """log(1 + exp(-a)) for a >= 0."""
    e, r = exp_parts(-minimum(a, 110.0), 24.0)
    e = fused(e, r, e)
    return twice_atanh(e * reciprocal(e + 33554432.0))


@triton.jit
def softplus(x):
    return maximum(x, 0.0) + log1p_exp(tl.abs(x))


@triton.jit
def logsigmoid(x):
    return minimum(x, 0.0) - log1p_exp(tl.abs(x))


@triton.jit
def sigmoid(x):
    """1/(1 + exp(-x)), both parts of the ratio times 2**-24."""
    e, r = exp_parts(clamped(-x, 110.0), -24.0)
    return reciprocal(fused(e, 1.0 + r, 5.9604644775390625e-08)) * 5.9604644775390625e-08


@triton.jit
def tanh(x):
    z = x * x
    near = fused(x * z, polynomial_tanh(z), x)
    far = fused(reciprocal(1.0 + ex2(x * 2.8853900817779268)), -2.0, 1.0)
    return tl.where(z < 0.31, near, far)


@triton.jit
def sinh(x):
    a = tl.abs(x)
    half = exp_half(minimum(a, 104.0))
    return tl.where(a < 1.0, sinh_series(x), with_sign_of(half - 0.25 * reciprocal(half), x))


@triton.jit
def cosh(x):
    half = exp_half(tl.abs(clamped(x, 104.0)))
    return half + 0.25 * reciprocal(half)


@triton.jit
def logcosh(x):
    """log1p(2*sinh(x/2)**2) near 0, |x| - log(2) + log1p(exp(-2|x|)) elsewhere."""
    a = tl.abs(x)
    s = sinh_series(0.5 * a)
    square = s * s
    near = twice_atanh(square * reciprocal(square + 1.0))
    return tl.where(a < 1.0, near, (a - 0.6931471805599453) + log1p_exp(a + a))


@triton.jit
def asinh(x):
    a = tl.abs(x)
    b = minimum(a, 1e18)
    square = b * b
    inner = b + square * reciprocal(1.0 + root(1.0 + square))
    large = a > 1e18
    y = log1p(tl.where(large, a, inner)) + tl.where(large, 0.6931471805599453, 0.0)
    return with_sign_of(y, x)


@triton.jit
def atan(x):
    a = tl.abs(x)
    far = a > 1.0
    t = tl.where(far, reciprocal(a), a)
    z = t * t
    y = fused(t * z, polynomial_atan(z), t)
    # The second word of pi/2 is less than an ulp of the result.
    return with_sign_of(tl.where(far, 1.5707963267948966 - y, y), x)


@triton.jit
def hypot1(x):
    a = tl.abs(x)
    b = minimum(a, 1e9)
    return tl.where(a > 1e9, a, root(1.0 + b * b))


@triton.jit
def sinc_grad(x):
    small = tl.abs(x) < 2.0
    c = tl.where(small, 2.0, x)
    return tl.where(small, x * polynomial_sinc_grad(x * x), quotient(tl.cos(c) - quotient(tl.sin(c), c), c))


@triton.jit
def product_rest(a, b):
    """What rounding takes from a*b."""
    rest = fused(a, b, -(a * b))
    return tl.where(tl.abs(rest) < 1e30, rest, 0.0)


@triton.jit
def sine_of_rest(b):
    """sin(b) for |b| < 1, and bounded beyond."""
    b = clamped(b, 1.0)
    q = b * b
    return b - b * q * (0.16666666666666666 - q * (0.008333333333333333 - q * 0.0001984126984126984))


@triton.jit
def cosine_of_rest(b):
    """cos(b) likewise."""
    b = clamped(b, 1.0)
    q = b * b
    return 1.0 - q * (0.5 - q * (0.041666666666666664 - q * 0.001388888888888889))


@triton.jit
def sin_sum(a, b):
    """sin(a + b) for |b| < 1, which holds for |a| < 1e7; beyond, something of that size."""
    return tl.sin(a) * cosine_of_rest(b) + tl.cos(a) * sine_of_rest(b)


@triton.jit
def exp_minus_square(x, y):
    """2**24 * exp(x*y) for -104 <= x*y <= 0, where the product has two words."""
    p = x * y
    e, r = exp_parts(p, 24.0)
    return fused(e, r + fused(x, y, -p), e)


@triton.jit
def half_erfcx(a):
    """erfcx(a/sqrt(2))/2 for 0 <= a <= 15."""
    t = reciprocal(fused(a, 0.3, 1.0))
    return t * polynomial_half_erfcx(t)


@triton.jit
def normal_tail(c):
    """ndtr(-|c|) for |c| <= 14.5."""
    return exp_minus_square(c, -0.5 * c) * half_erfcx(tl.abs(c)) * 5.9604644775390625e-08


@triton.jit
def ndtr(x):
    y = normal_tail(clamped(x, 14.4))
    return tl.where(x < 0.0, y, 1.0 - y)


@triton.jit
def erfc(x):
    c = clamped(x, 10.15)
    y = exp_minus_square(c, -c) * half_erfcx(1.4142135623730951 * tl.abs(c)) * 1.1920928955078125e-07
    return tl.where(x < 0.0, 2.0 - y, y)


@triton.jit
def erf(x):
    a = tl.abs(clamped(x, 4.0))
    far = with_sign_of(1.0 - ex2(polynomial_log2_erfc(a)), x)
    return tl.where(a < 1.0, x * polynomial_erf(x * x), far)


@triton.jit
def erfcx_positive(a):
    t = reciprocal(fused(a, 0.4, 1.0))
    return t * polynomial_erfcx(t)


@triton.jit
def twice_exp_square(x):
    """2*exp(x**2), its square in two words; infinite from 9.4 on."""
    c = clamped(x, 9.5)
    square = c * c
    return 4.0 * (exp_half(square) * (1.0 + fused(c, c, -square)))


@triton.jit
def erfcx(x):
    y = erfcx_positive(tl.abs(x))
    return tl.where(x < 0.0, twice_exp_square(x) - y, y)


@triton.jit
def erfcx_grad(x):
    """2*x*erfcx(x) - 2/sqrt(pi); for x > 0 by a series of its own, since the terms cancel there."""
    a = minimum(tl.abs(x), 1e30)
    w = reciprocal(1.0 + 2.0 * a)
    left = fused(-2.0 * a, twice_exp_square(x) - erfcx_positive(a), -1.1283791670955126)
    right = -(polynomial_erfcx_decline((a - 3.0) * reciprocal(a + 3.0)) * w) * w
    return tl.where(x < 0.0, left, right)


@triton.jit
def log_ndtr(x):
    c = clamped(x, 14.4)
    left = log(0.5 * erfcx_positive(tl.abs(x) * 0.7071067811865476)) - 0.5 * x * x
    return tl.where(x < 0.0, left, log1p(-normal_tail(c)))


@triton.jit
def bessel_variable(a):
    b = minimum(a, 1e30)
    return (b - 8.0) * reciprocal(b + 8.0)


@triton.jit
def i0e(x):
    a = tl.abs(x)
    return polynomial_i0e(bessel_variable(a)) * inverse_root(a + 2.0)


@triton.jit
def i1e_ratio(x):
    a = tl.abs(x)
    w = inverse_root(a + 2.0)
    return polynomial_i1e_ratio(bessel_variable(a)) * w * (w * w)


@triton.jit
def i1e(x):
    a = tl.abs(x)
    w = inverse_root(a + 2.0)
    y = polynomial_i1e_ratio(bessel_variable(a)) * (w * x) * (w * w)
    return tl.where(a == float("inf"), 0.0, y)


@triton.jit
def i0e_minus_i1e(x):
    a = tl.abs(x)
    w = inverse_root(a + 2.0)
    y = polynomial_bessel_difference(bessel_variable(a)) * w * (w * w)
    return tl.where(x < 0.0, i0e(a) + i1e(a), y)


@triton.jit
def power(a, b):
    """The real power a**b, with log(a) and its product with b in two words; special cases as in C."""
    infinite = float("inf")
    base = tl.abs(a)
    small = base < 1.1754943508222875e-38
    bits = tl.where(small, base * 8388608.0, base).to(tl.int32, bitcast=True)
    exponent = (bits - 1060439283) & -8388608
    m = (bits - exponent).to(tl.float32, bitcast=True)
    k = (exponent - tl.where(small, 192937984, 0)).to(tl.float32) * 1.1920928955078125e-07
    # s = (m - 1)/(m + 1) and its rest.
    n = m - 1.0
    d = m + 1.0
    inverse = reciprocal(d)
    s = n * inverse
    s_low = inverse * fused(-s, m - (d - 1.0), fused(-s, d, n))
    z = s * s
    # log(a) = first + low, the first word of log(2) short enough for k times it to be exact.
    large = k * 0.693359375
    first = large + 2.0 * s
    low = (2.0 * s - (first - large)) + (k * -2.1219444005469058e-4 + (2.0 * s_low + s * z * polynomial_log(z)))
    log_base = first + low
    log_rest = low - (log_base - first)
    log_base = tl.where(base == 0.0, -infinite, tl.where(base == infinite, infinite, log_base))
    product = b * log_base
    rest = fused(b, log_rest, fused(b, log_base, -product))
    c = clamped(product, 120.0)
    h = c * 1.4426950408889634
    rest = fused(h, -0.6931471805599453, c) + tl.where(tl.abs(product) < 110.0, rest, 0.0)
    y = ex2_full(h) * (1.0 + rest)
    whole = tl.floor(b) == b
    odd = whole & (tl.floor(0.5 * b) != 0.5 * b)
    y = tl.where(odd & (a.to(tl.int32, bitcast=True) < 0), -y, y)
    y = tl.where((a < 0.0) & (base < infinite) & (whole == 0), float("nan"), y)
    y = tl.where((a == a) & (b == b), y, float("nan"))
    one = (a == 1.0) | (b == 0.0) | ((a == -1.0) & (tl.abs(b) == infinite))
    return tl.where(one, 1.0, y)
