# ruff: noqa: F821
# mypy: ignore-errors
"""Mathematics of Triton kernels in float64: source text, from which `library` copies what a kernel needs.

Made of `tl` operations alone, so what the interpreter computes in the tests is what the GPU computes, but for fused
multiply-adds: products that an error term relies on are exact, so that fusing changes nothing.

All constants take the type of the tensor that they meet. Sources of the methods: W. J. Cody and W. Waite, Software
Manual for the Elementary Functions (1980), for the reductions; Sun's fdlibm for log and log1p; M. M. Shepherd and J. G.
Laframboise, Math. Comp. 36 (1981) 249, for erfcx on the half line; T. J. Dekker, Numer. Math. 18 (1971) 224, for
numbers in two words.
"""

import triton
import triton.language as tl


@triton.jit
def quotient(a, b):
    return a / b


@triton.jit
def square_root(x):
    return tl.sqrt(x)


@triton.jit
def sign(x):
    one = tl.full(x.shape, 1.0, x.dtype)
    return tl.where(x > 0.0, one, tl.where(x < 0.0, -one, x))


@triton.jit
def high_part(x):
    """x with the lower half of its significand cleared: products of two high parts are exact."""
    return (x.to(tl.int64, bitcast=True) & -134217728).to(tl.float64, bitcast=True)


@triton.jit
def scaled(y, n):
    """y*2**n for whole n; in two steps, so that overflow and subnormal results come out right."""
    whole = n.to(tl.int64)
    half = whole >> 1
    first = ((half + 1023) << 52).to(tl.float64, bitcast=True)
    second = ((whole - half + 1023) << 52).to(tl.float64, bitcast=True)
    return y * first * second


@triton.jit
def reduced(x):
    """Whole n and r with x = n*log(2) + r, |r| <= log(2)/2, in two steps with a short first constant."""
    n = tl.floor(x * 1.4426950408889634 + 0.5)
    r = (x - n * 0.6931471803691238) - n * 1.9082149292705877e-10
    return tl.where(x == x, n, 0.0), r


@triton.jit
def exp_product(x, rest, factor, shift):
    """factor * exp(x + rest) * 2**shift for a small rest. The argument is clamped, never the exponent."""
    x = tl.where(x > 711.0, 711.0, tl.where(x < -750.0, -750.0, x))
    n, r = reduced(x)
    r += rest
    return scaled((1.0 + (r + r * r * polynomial_exp(r))) * factor, n + shift)


@triton.jit
def exp(x):
    return exp_product(x, 0.0, 1.0, 0.0)


@triton.jit
def expm1(x):
    x = tl.where(x > 709.9, 709.9, tl.where(x < -40.0, -40.0, x))
    n, r = reduced(x)
    half = scaled(tl.full(x.shape, 0.5, x.dtype), n)
    return (half * (r + r * r * polynomial_exp(r)) + (half - 0.5)) * 2.0


@triton.jit
def exponent_and_fraction(x):
    """k and m with x = m * 2**k, sqrt(1/2) <= m < sqrt(2), for a positive finite x, subnormal or not."""
    small = x < 2.2250738585072014e-308
    bits = tl.where(small, x * 18014398509481984.0, x).to(tl.int64, bitcast=True) + 2638149301829632
    k = (bits >> 52) - 1023
    m = ((bits & 4503599627370495) + 4604544269498187776).to(tl.float64, bitcast=True)
    k = k.to(tl.float64) - tl.where(small, 54.0, x * 0.0)
    return k, m


@triton.jit
def log_sum(k, f, rest):
    """k*log(2) + log(1 + f) + rest for sqrt(1/2) - 1 <= f <= sqrt(2) - 1 and a small rest."""
    s = quotient(f, f + 2.0)
    z = s * s
    half_square = 0.5 * f * f
    high = k * 0.6931471803691238
    rest += k * 1.9082149292705877e-10
    return high + (f - (half_square - (s * (half_square + z * polynomial_log(z)) + rest)))


@triton.jit
def log(x):
    infinite = float("inf")
    k, m = exponent_and_fraction(x)
    y = tl.where(x == infinite, x, log_sum(k, m - 1.0, 0.0))
    return tl.where(x > 0.0, y, tl.where(x == 0.0, -infinite, float("nan")))


@triton.jit
def log1p(x):
    infinite = float("inf")
    u = 1.0 + x
    k, m = exponent_and_fraction(u)
    lost = tl.where(k > 0.0, 1.0 - (u - x), x - (u - 1.0))
    unscaled = k == 0.0
    f = tl.where(unscaled, x, m - 1.0)
    y = log_sum(k, f, tl.where(unscaled, 0.0, quotient(lost, u)))
    y = tl.where(x == infinite, x, y)
    return tl.where(x > -1.0, y, tl.where(x == -1.0, -infinite, float("nan")))


@triton.jit
def power(a, b):
    """The real power a**b, with log(a) and its product with b in two words; special cases as in C."""
    infinite = float("inf")
    base = tl.abs(a)
    k, m = exponent_and_fraction(base)
    n = m - 1.0
    d = m + 1.0
    d_high = high_part(d)
    s = quotient(n, d)
    s_high = high_part(s)
    s_low = quotient((n - s_high * d_high) - s_high * ((d - d_high) + (m - (d - 1.0))), d)
    z = s * s
    large = k * 0.6931471803691238
    low = k * 1.9082149292705877e-10
    limit = 1500.0
    first = large + 2.0 * s_high
    low = (2.0 * s_high - (first - large)) + (low + (2.0 * s_low + s * z * polynomial_log(z)))
    log_base = first + low
    log_rest = low - (log_base - first)
    log_base = tl.where(base == 0.0, -infinite, tl.where(base == infinite, infinite, log_base))
    log_high = high_part(log_base)
    log_low = (log_base - log_high) + log_rest
    b_high = high_part(b)
    b_low = b - b_high
    exponent = b_high * log_high
    rest = b_high * log_low + (b_low * log_high + b_low * log_low)
    y = exp_product(exponent, tl.where(tl.abs(exponent) < limit, rest, 0.0), 1.0, 0.0)
    whole = tl.floor(b) == b
    odd = whole & (tl.floor(0.5 * b) != 0.5 * b)
    y = tl.where(odd & ((a < 0.0) | ((a == 0.0) & (quotient(a * 0.0 + 1.0, a) < 0.0))), -y, y)
    y = tl.where((a < 0.0) & (base < infinite) & (whole == 0), float("nan"), y)
    y = tl.where((a == a) & (b == b), y, float("nan"))
    one = (a == 1.0) | (b == 0.0) | ((a == -1.0) & (tl.abs(b) == infinite))
    return tl.where(one, 1.0, y)


@triton.jit
def sinh(x):
    a = tl.abs(x)
    half = exp_product(a, 0.0, 1.0, -1.0)
    y = half - quotient(half * 0.0 + 0.25, half)
    y = tl.where(half == float("inf"), half, y)
    return tl.where(a < 1.0, sinh_series(x), tl.where(x < 0.0, -y, y))


@triton.jit
def cosh(x):
    half = exp_product(tl.abs(x), 0.0, 1.0, -1.0)
    return half + quotient(tl.full(x.shape, 0.25, x.dtype), half)


@triton.jit
def tanh(x):
    a = tl.abs(x)
    t = expm1(2.0 * tl.where(a > 25.0, 25.0, a))
    y = quotient(t, t + 2.0)
    return tl.where(x < 0.0, -y, y)


@triton.jit
def product_rest(a, b):
    """What rounding takes from a*b."""
    p = a * b
    c = high_part(a)
    d = high_part(b)
    rest = ((c * d - p) + c * (b - d) + (a - c) * d) + (a - c) * (b - d)
    return tl.where(tl.abs(rest) < 1e30, rest, 0.0)


@triton.jit
def sine_of_rest(b):
    b = minimum(maximum(b, -1.0), 1.0)
    q = b * b
    return b - b * q * (1.0 - q * (1.0 - q / 42.0) / 20.0) / 6.0


@triton.jit
def cosine_of_rest(b):
    b = minimum(maximum(b, -1.0), 1.0)
    q = b * b
    return 1.0 - q * (1.0 - q * (1.0 - q / 30.0) / 12.0) / 2.0


@triton.jit
def sin_sum(a, b):
    """sin(a + b) for |b| < 1, which holds for |a| < 1e7 in float32."""
    return tl.sin(a) * cosine_of_rest(b) + tl.cos(a) * sine_of_rest(b)


@triton.jit
def hypot1(x):
    a = tl.abs(x)
    b = tl.where(a > 1e9, 0.0, a)
    return tl.where(a > 1e9, a, square_root(1.0 + b * b))


@triton.jit
def asinh(x):
    a = tl.abs(x)
    large = a > 1e18
    b = tl.where(large, 1.0, a)
    square = b * b
    inner = b + quotient(square, 1.0 + square_root(1.0 + square))
    y = log1p(tl.where(large, a, inner)) + tl.where(large, 0.6931471805599453, x * 0.0)
    y = tl.where(a == float("inf"), a, y)
    return tl.where(x < 0.0, -y, y)


@triton.jit
def atan(x):
    a = tl.abs(x)
    large = a > 2.414213562373095
    middle = a > 0.4142135623730951
    upper = tl.where(large, -1.0, tl.where(middle, a - 1.0, a))
    lower = tl.where(large, a, tl.where(middle, a + 1.0, 1.0))
    u = quotient(upper, lower)
    z = u * u
    zero = tl.full(x.shape, 0.0, x.dtype)
    angle = tl.where(large, 1.5707963267948966, tl.where(middle, 0.7853981633974483, zero))
    rest = tl.where(large, 6.123233995736766e-17, tl.where(middle, 3.061616997868383e-17, zero))
    y = angle + (u + (u * z * polynomial_atan(z) + rest))
    return tl.where(x < 0.0, -y, y)


@triton.jit
def sigmoid(x):
    e = exp(-tl.abs(x))
    return quotient(tl.where(x < 0.0, e, 1.0), 1.0 + e)


@triton.jit
def softplus(x):
    return maximum(x, tl.full(x.shape, 0.0, x.dtype)) + log1p(exp(-tl.abs(x)))


@triton.jit
def logsigmoid(x):
    return minimum(x, tl.full(x.shape, 0.0, x.dtype)) - log1p(exp(-tl.abs(x)))


@triton.jit
def logcosh(x):
    """log1p(2*sinh(x/2)**2) near 0, |x| - log(2) + log1p(exp(-2|x|)) elsewhere."""
    a = tl.abs(x)
    near = a < 1.0
    s = sinh_series(0.5 * a)
    return tl.where(near, 0.0, a - 0.6931471805599453) + log1p(tl.where(near, 2.0 * s * s, exp(-2.0 * a)))


@triton.jit
def exp_square(a, scale, factor):
    """factor * exp(scale * a**2) for a >= 0 and a scale of +-1 or +-1/2, the square in two words."""
    a = tl.where(a > 60.0, 60.0, a)
    high = high_part(a)
    return exp_product(scale * (high * high), scale * ((a - high) * (a + high)), factor, 0.0)


@triton.jit
def erfcx_positive(a):
    t = 1.0 - quotient(tl.full(a.shape, 6.0, a.dtype), a + 3.0)
    return quotient(polynomial_erfcx(t), 1.0 + 2.0 * a)


@triton.jit
def erfcx(x):
    a = tl.abs(x)
    y = erfcx_positive(a)
    return tl.where(x < 0.0, exp_square(a, 1.0, 2.0) - y, y)


@triton.jit
def erfcx_grad(x):
    """2*x*erfcx(x) - 2/sqrt(pi); for x > 0 by a series of its own, since the terms cancel there."""
    a = tl.abs(x)
    t = 1.0 - quotient(tl.full(a.shape, 6.0, a.dtype), a + 3.0)
    w = 1.0 + 2.0 * a
    left = -2.0 * a * (exp_square(a, 1.0, 2.0) - erfcx_positive(a)) - 1.1283791670955126
    right = -quotient(quotient(polynomial_erfcx_decline(t), w), w)
    return tl.where(x < 0.0, left, right)


@triton.jit
def erfc(x):
    a = tl.abs(x)
    y = exp_square(a, -1.0, erfcx_positive(a))
    return tl.where(x < 0.0, 2.0 - y, y)


@triton.jit
def erf(x):
    a = tl.abs(x)
    y = 1.0 - exp_square(a, -1.0, erfcx_positive(a))
    b = tl.where(a < 1.0, x, 0.0)
    return tl.where(a < 1.0, x * polynomial_erf(b * b), tl.where(x < 0.0, -y, y))


@triton.jit
def ndtr_tail(a):
    """ndtr(-a) for a >= 0."""
    return exp_square(a, -0.5, 0.5 * erfcx_positive(a * 0.7071067811865476))


@triton.jit
def ndtr(x):
    y = ndtr_tail(tl.abs(x))
    return tl.where(x < 0.0, y, 1.0 - y)


@triton.jit
def log_ndtr(x):
    a = tl.abs(x)
    left = log(0.5 * erfcx_positive(a * 0.7071067811865476)) - 0.5 * a * a
    return tl.where(x < 0.0, left, log1p(-ndtr_tail(a)))


@triton.jit
def bessel_variable(a):
    return 1.0 - quotient(tl.full(a.shape, 16.0, a.dtype), a + 8.0)


@triton.jit
def i0e(x):
    a = tl.abs(x)
    return quotient(polynomial_i0e(bessel_variable(a)), square_root(a + 2.0))


@triton.jit
def i1e(x):
    a = tl.abs(x)
    w = a + 2.0
    y = quotient(polynomial_i1e_ratio(bessel_variable(a)) * quotient(x, w), square_root(w))
    return tl.where(a == float("inf"), 0.0, y)


@triton.jit
def i1e_ratio(x):
    a = tl.abs(x)
    w = a + 2.0
    return quotient(quotient(polynomial_i1e_ratio(bessel_variable(a)), w), square_root(w))


@triton.jit
def i0e_minus_i1e(x):
    a = tl.abs(x)
    w = a + 2.0
    y = quotient(quotient(polynomial_bessel_difference(bessel_variable(a)), w), square_root(w))
    return tl.where(x < 0.0, i0e(a) + i1e(a), y)


@triton.jit
def sinc_grad(x):
    small = tl.abs(x) < 2.0
    b = tl.where(small, x, 0.0)
    c = tl.where(small, 2.0, x)
    return tl.where(small, b * polynomial_sinc_grad(b * b), quotient(tl.cos(c) - quotient(tl.sin(c), c), c))
