// Elementwise mathematics in float32 on whole vectors, a few ulp everywhere: NaN in gives NaN out, infinities
// give their limits, results below the normal range are rounded like others. Methods are textbook range
// reductions (Muller, Elementary Functions, 3rd ed.); polynomials are those of coefficients.h.
#pragma once

#include "circular.h"
#include "coefficients.h"
#include "vector.h"

namespace SYMACT_ISA {

constexpr float INFINITE = __builtin_inff();
constexpr float LN2 = 0.693147180559945f, LN2_HIGH = 0.693359375f, LN2_LOW = -2.12194440e-4f;
constexpr float LOG2E = 1.44269504088896f;

// exp(x + rest) = (1 + p)*2^n with |p| < 0.42; x is already within [-104, 89].
struct Exponent {
    F p, n;
};

INLINE Exponent exponent(F x, F rest = F{}) {
    F n = nearest(x * LOG2E);
    F r = fnma(n, splat(LN2_LOW), fnma(n, splat(LN2_HIGH), x)) + rest;
    return {fma(r * r, polynomial(r, EXP), r), n};
}

// exp of an argument that is not positive; -inf gives 0.
INLINE F exp_negative(F x, F rest = F{}) {
    Exponent e = exponent(above(splat(-104.0f), x), rest);
    return scale(e.p + 1.0f, e.n);
}

INLINE F exp_(F x) {
    Exponent e = exponent(below(splat(89.0f), above(splat(-104.0f), x)));
    return scale(e.p + 1.0f, e.n);
}

INLINE F expm1_(F x) {
    Exponent e = exponent(below(splat(89.0f), above(splat(-18.0f), x)));
    // Half of 2^n: 2^128 is out of range where the result is not.
    F half = scale(splat(0.5f), e.n);
    F y = fma(e.p, half, half - 0.5f) * 2.0f;
    return with_sign(select(equal(e.n, F{}), e.p, y), x);
}

// expm1 and exp.
INLINE Two expm1_pair(F x) {
    Exponent e = exponent(below(splat(89.0f), above(splat(-104.0f), x)));
    F half = scale(splat(0.5f), e.n);
    F y = fma(e.p, half, half - 0.5f) * 2.0f;
    return {with_sign(select(equal(e.n, F{}), e.p, y), x), scale(e.p + 1.0f, e.n)};
}

// max(x, expm1(x)) and its slope, 1 or exp(x).
INLINE Two elu_pair(F x) {
    Exponent e = exponent(above(splat(-104.0f), below(F{}, x)));
    F power = scale(splat(1.0f), e.n);
    M right = less(F{}, x);
    // The left branch is 0 on the right, and nowhere less than x; of -0 it is -0.
    return {above(fma(e.p, power, power - 1.0f), x), select(right, splat(1.0f), fma(e.p, power, power))};
}
INLINE F elu(F x) { return elu_pair(x).first; }
INLINE F elu_slope(F x) { return elu_pair(x).second; }

// exp(-|x|), which sigmoid, softplus and their kin share.
INLINE F decay(F x) { return exp_negative(minus_absolute(x)); }

INLINE F log1p_unit(F e) { return e * polynomial(e, LOG1P_UNIT); }
INLINE F sigmoid(F x) {
    F e = decay(x);
    return select(less(x, F{}), e, splat(1.0f)) / (e + 1.0f);
}
INLINE F sigmoid_minus(F x) {
    F e = decay(x);
    return select(less(x, F{}), splat(1.0f), e) / (e + 1.0f);
}
INLINE F softplus(F x) { return above(F{}, x) + log1p_unit(decay(x)); }
INLINE F logsigmoid(F x) { return below(F{}, x) - log1p_unit(decay(x)); }
// sigmoid(x) and sigmoid(-x).
INLINE Two sigmoid_pair(F x) {
    F e = decay(x), large = 1.0f / (e + 1.0f), small = e * large;
    M left = less(x, F{});
    return {select(left, small, large), select(left, large, small)};
}
// sigmoid(x) and its slope sigmoid(x)*sigmoid(-x).
INLINE Two sigmoid_slope_pair(F x) {
    F e = decay(x), large = 1.0f / (e + 1.0f), small = e * large;
    return {select(less(x, F{}), small, large), small * large};
}
INLINE F sigmoid_slope(F x) { return sigmoid_slope_pair(x).second; }
INLINE Two softplus_pair(F x) {
    F e = decay(x);
    return {above(F{}, x) + log1p_unit(e), select(less(x, F{}), e, splat(1.0f)) / (e + 1.0f)};
}
INLINE Two logsigmoid_pair(F x) {
    F e = decay(x);
    return {below(F{}, x) - log1p_unit(e), select(less(x, F{}), splat(1.0f), e) / (e + 1.0f)};
}
INLINE F silu(F x) {
    F e = decay(x);
    return x * (select(less(x, F{}), e, splat(1.0f)) / (e + 1.0f));
}
INLINE Two silu_pair(F x) {
    Two s = sigmoid_slope_pair(x);
    return {x * s.first, fma(x, s.second, s.first)};
}
INLINE F silu_slope(F x) { return silu_pair(x).second; }
// sigmoid(x) and the slope of x*sigmoid(x), which are needed together where the angle is scaled.
INLINE Two swish_pair(F x) {
    Two s = sigmoid_slope_pair(x);
    return {s.first, fma(x, s.second, s.first)};
}

// tanh(softplus(x)) = ((1 + u)^2 - 1)/((1 + u)^2 + 1), u = exp(x), divided by u^2 where x > 0; its slope
// is 4u(1 + u)/((1 + u)^2 + 1)^2.
INLINE Two tanh_softplus_pair(F x) {
    F e = decay(x), twice = e + e, square = e * e;
    M left = less(x, F{});
    F top = select(left, square + twice, twice + 1.0f);
    F inverse = 1.0f / (top + 2.0f * select(left, splat(1.0f), square));
    F slope = (4.0f * (select(left, e, square) * (1.0f + e))) * (inverse * inverse);
    return {top * inverse, slope};
}
INLINE F tanh_softplus(F x) { return tanh_softplus_pair(x).first; }
INLINE F tanh_softplus_slope(F x) { return tanh_softplus_pair(x).second; }
INLINE Two mish_pair(F x) {
    Two t = tanh_softplus_pair(x);
    return {x * t.first, fma(x, t.second, t.first)};
}
INLINE F mish(F x) { return mish_pair(x).first; }
INLINE F mish_slope(F x) { return mish_pair(x).second; }

// log(2^k*(1 + m)) for m in [-0.25, 0.5).
INLINE F logarithm(F m, F k) {
    F y = fma(m * m, polynomial(m, LOG1P), m);
    return fma(k, splat(LN2_HIGH), fma(k, splat(LN2_LOW), y));
}

INLINE I power_of_two(F u) { return (bits(u) - 0x3f400000) >> 23; }

// For finite x > 0, any size.
INLINE F log_positive(F x) {
    M tiny = less(x, splat(1.17549435e-38f));
    F u = select(tiny, x * 16777216.0f, x);
    I k = power_of_two(u);
    F m = real(bits(u) - (k << 23)) - 1.0f;
    return logarithm(m, floating(k) - select(tiny, splat(24.0f), F{}));
}

INLINE F log_(F x) {
    F y = select(less(x, splat(INFINITE)), log_positive(x), x);
    y = select(equal(x, F{}), splat(-INFINITE), y);
    return select(less(x, F{}), splat(__builtin_nanf("")), y);
}

// For finite x > -1, any size.
INLINE F log1p_finite(F x) {
    I k = power_of_two(x + 1.0f);
    // A quarter of 2^(2 - k), since 2^-128 has no exponent of its own.
    F t = real((129 - k) << 23) * 0.25f;
    return logarithm(fma(x, t, t - 1.0f), floating(k));
}

INLINE F log1p_(F x) {
    F y = select(less(x, splat(INFINITE)), log1p_finite(x), x);
    y = select(equal(x, splat(-1.0f)), splat(-INFINITE), y);
    y = select(less(x, splat(-1.0f)), splat(__builtin_nanf("")), y);
    return select(less(absolute(x), splat(1e-30f)), x, y);
}

// exp(|x|)/2, whose overflow is that of sinh and cosh.
INLINE F half_growth(F x) {
    Exponent e = exponent(below(splat(90.0f), absolute(x)));
    return scale(e.p + 1.0f, e.n - 1.0f);
}
INLINE Two sinh_pair(F x) {
    F h = half_growth(x), rest = 0.25f / h, z = x * x;
    F near = fma(x * z, polynomial(z, SINH), x);
    return {select(less(absolute(x), splat(1.0f)), near, with_sign(h - rest, x)), h + rest};
}
INLINE F sinh_(F x) { return sinh_pair(x).first; }
INLINE F cosh_(F x) {
    F h = half_growth(x);
    return h + 0.25f / h;
}

// tanh and its slope 1/cosh^2.
INLINE Two tanh_pair(F x) {
    F a = absolute(x), z = x * x;
    F e = exp_negative(-2.0f * a), inverse = 1.0f / (1.0f + e);
    F near = fma(x * z, polynomial(z, TANH), x);
    return {with_sign(select(less(a, splat(0.6f)), near, (1.0f - e) * inverse), x), (4.0f * e) * (inverse * inverse)};
}
INLINE F tanh_(F x) { return tanh_pair(x).first; }
INLINE F sech_squared(F x) { return tanh_pair(x).second; }
// 1/cosh^2 and its slope.
INLINE Two sech_squared_pair(F x) {
    Two t = tanh_pair(x);
    return {t.second, t.second * t.first * -2.0f};
}
INLINE F sech_squared_slope(F x) { return sech_squared_pair(x).second; }

INLINE F asinh_(F x) {
    F a = absolute(x), z = x * x;
    F near = fma(x * z, polynomial(z, ASINH), x);
    M huge = less(splat(1e9f), a);
    F u = select(huge, a, a + root(z + 1.0f));
    F far = log_positive(u) + select(huge, splat(LN2), F{});
    far = select(less(a, splat(INFINITE)), far, a);
    return with_sign(select(less(a, splat(1.0f)), near, far), x);
}

INLINE F atan_(F x) {
    F a = absolute(x);
    M out = less(splat(1.0f), a);
    F t = select(out, splat(-1.0f), a) / select(out, a, splat(1.0f));
    F z = t * t;
    F y = fma(t * z, polynomial(z, ATAN), t);
    // pi/2 less its rounding to float32.
    y = select(out, (y - 4.37113883e-08f) + 1.57079637e+00f, y);
    return with_sign(y, x);
}

INLINE F hypot1(F x) {
    F a = absolute(x);
    F y = root(fma(a, a, splat(1.0f)));
    return select(less(splat(1e9f), a), a, y);
}

}  // namespace SYMACT_ISA
