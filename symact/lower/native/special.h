// Error functions, the normal distribution and Bessel functions in float32 on whole vectors.
#pragma once

#include "functions.h"

namespace SYMACT_ISA {

// exp(-x*x), with what x*x loses by rounding made good.
INLINE F gauss(F x) {
    F a = below(splat(10.6f), absolute(x)), h = a * a;
    return exp_negative(-h, -square_rest(a, h));
}
// exp(-x*x/2)
INLINE F gauss_half(F x) {
    F a = below(splat(14.9f), absolute(x)), h = a * a;
    return exp_negative(-0.5f * h, -0.5f * square_rest(a, h));
}
// exp(x*x)
INLINE F gauss_growth(F x) {
    F a = below(splat(9.6f), absolute(x)), h = a * a;
    Exponent e = exponent(below(splat(89.0f), h), square_rest(a, h));
    return scale(e.p + 1.0f, e.n);
}

// exp(a*a)*erfc(a) for a = |x| <= 10.5
INLINE F erfc_tail(F x) {
    F q = 1.0f / (below(splat(10.5f), absolute(x)) + 2.0f);
    return q * polynomial(q, ERFC);
}
INLINE Two erfc_pair(F x) {
    F g = gauss(x), y = g * erfc_tail(x);
    return {select(less(x, F{}), 2.0f - y, y), g};
}
INLINE F erfc_(F x) { return erfc_pair(x).first; }

INLINE Two erf_pair(F x) {
    F g = gauss(x), z = below(splat(1.0f), x * x);
    F near = fma(x, polynomial(z, ERF), x), far = 1.0f - g * erfc_tail(x);
    return {select(less(absolute(x), splat(1.0f)), near, with_sign(far, x)), g};
}
INLINE F erf_(F x) { return erf_pair(x).first; }

// ndtr and exp(-x*x/2).
INLINE Two ndtr_half_pair(F x) {
    F g = gauss_half(x);
    F q = 1.0f / (below(splat(14.6f), absolute(x)) + 3.5f);
    F y = g * (q * polynomial(q, MILLS));
    return {select(less(F{}, x), 1.0f - y, y), g};
}
INLINE F ndtr(F x) { return ndtr_half_pair(x).first; }
// ndtr and the normal density.
INLINE Two ndtr_pair(F x) {
    Two t = ndtr_half_pair(x);
    return {t.first, t.second * 0.39894228f};
}
INLINE F ndtr_slope(F x) { return 0.39894228f * gauss_half(x); }
INLINE Two gelu_pair(F x) {
    Two t = ndtr_pair(x);
    return {x * t.first, fma(x, t.second, t.first)};
}
INLINE F gelu(F x) { return gelu_pair(x).first; }
INLINE F gelu_slope(F x) { return gelu_pair(x).second; }

// (a - 2)/(a + 2) for a >= 0, infinity included.
INLINE F fold(F a) { return 1.0f - 4.0f / (a + 2.0f); }

INLINE F erfcx(F x) {
    F a = absolute(x);
    F y = polynomial(fold(a), ERFCX) * (0.5f / (a + 0.5f));
    M left = less(x, F{});
    return any(left) ? select(left, fms(splat(2.0f), gauss_growth(x), y), y) : y;
}

INLINE F erfcx_grad(F x) {
    F a = absolute(x), w = 0.5f / (a + 0.5f);
    F y = -(polynomial(fold(a), ERFCX_SLOPE) * w) * w;
    M left = less(x, F{});
    return any(left) ? select(left, fma(4.0f * x, gauss_growth(x), y), y) : y;
}

INLINE F log_ndtr(F x) {
    F a = absolute(x);
    M left = less(x, F{});
    F mills = polynomial(fold(a), MILLS_FAR) * (0.5f / (a + 0.5f));
    F far = log_positive(below(splat(1.0f), above(splat(1e-38f), mills))) - (0.5f * a) * a;
    F near = log1p_finite(-(gauss_half(a) * mills));
    return select(is_nan(x), x, select(left, far, near));
}

INLINE F logcosh(F x) {
    F a = absolute(x), z = below(splat(1.0f), x * x);
    F near = z * polynomial(z, LOGCOSH);
    F far = (a - LN2) + log1p_unit(exp_negative(-2.0f * a));
    return select(less(a, splat(1.0f)), near, far);
}

// Modified Bessel functions, scaled by exp(-|x|): a power series below 8, one in 1/|x| above.
struct Scaled {
    F a, v, root_v, near_a, decay;
    M far;
};
INLINE Scaled scaled(F x) {
    Scaled s;
    s.a = absolute(x);
    s.far = less(splat(8.0f), s.a);
    s.near_a = below(splat(8.0f), s.a);
    s.v = 1.0f / above(splat(8.0f), s.a);
    s.root_v = root(s.v);
    s.decay = exp_negative(-s.near_a);
    return s;
}
INLINE F i0e_of(const Scaled& s) {
    return select(s.far, s.root_v * polynomial(s.v, I0E_FAR), s.decay * polynomial(s.near_a * s.near_a, I0));
}
INLINE F i1e_ratio_of(const Scaled& s) {
    F far = (s.root_v * polynomial(s.v, I1E_FAR)) * s.v;
    return select(s.far, far, s.decay * polynomial(s.near_a * s.near_a, I1));
}
INLINE F i0e(F x) { return i0e_of(scaled(x)); }
INLINE F i1e_ratio(F x) { return i1e_ratio_of(scaled(x)); }
INLINE F i1e(F x) {
    Scaled s = scaled(x);
    F far = s.root_v * polynomial(s.v, I1E_FAR);
    F near = s.near_a * (s.decay * polynomial(s.near_a * s.near_a, I1));
    return with_sign(select(s.far, far, near), x);
}
// i0e(|x|) - i1e(|x|)
INLINE F difference_of(const Scaled& s) {
    F t = fma(s.near_a, splat(0.25f), splat(-1.0f));
    return select(s.far, (s.v * s.root_v) * polynomial(s.v, BESSEL_FAR), polynomial(t, BESSEL));
}
// sign(x)*(i0e - i1e)(|x|), by which i0e falls.
INLINE F falling(F x, F y) { return select(equal(x, F{}), F{}, with_sign(y, x)); }
INLINE F i0e_fall(F x) { return falling(x, difference_of(scaled(x))); }
INLINE Two i0e_pair(F x) {
    Scaled s = scaled(x);
    return {i0e_of(s), falling(x, difference_of(s))};
}
INLINE F i0e_minus_i1e(F x) {
    F y = difference_of(scaled(x));
    M left = less(x, F{});
    // On the left it is the sum i0e(|x|) + i1e(|x|).
    return any(left) ? select(left, 2.0f * i0e(x) - y, y) : y;
}

}  // namespace SYMACT_ISA
