// Error functions, the normal distribution and Bessel functions in float32 on whole vectors.
#pragma once

#include "functions.h"

namespace SYMACT_ISA {

// |x| as far as exp(-x*x) and erfc are not zero.
INLINE F within_erfc(F x) { return below(splat(10.5f), absolute(x)); }
// exp(-a*a), with what a*a loses by rounding made good.
INLINE F gauss_of(F a) {
    F h = a * a;
    return exp_negative(-h, -square_rest(a, h));
}
INLINE F gauss(F x) { return gauss_of(within_erfc(x)); }
// exp(-x*x/2)
INLINE F within_ndtr(F x) { return below(splat(14.6f), absolute(x)); }
INLINE F gauss_half_of(F a) {
    F h = a * a;
    return exp_negative(-0.5f * h, -0.5f * square_rest(a, h));
}
INLINE F gauss_half(F x) { return gauss_half_of(within_ndtr(x)); }
// exp(x*x)
INLINE F gauss_growth(F x) {
    F a = below(splat(9.6f), absolute(x)), h = a * a;
    Exponent e = exponent(below(splat(89.0f), h), square_rest(a, h));
    return scale(e.p + 1.0f, e.n);
}

// exp(a*a)*erfc(a) for 0 <= a <= 10.5; q has a slope of little more than one there, so that its rounding stays.
INLINE F erfc_tail(F a) {
    F q = 1.0f / (a + 1.0f);
    return q * polynomial(q - 0.5f, ERFC);
}
INLINE Two erfc_pair(F x) {
    F a = within_erfc(x), g = gauss_of(a), y = g * erfc_tail(a);
    return {select(less(x, F{}), 2.0f - y, y), g};
}
INLINE F erfc_(F x) { return erfc_pair(x).first; }

INLINE Two erf_pair(F x) {
    F a = within_erfc(x), g = gauss_of(a), z = below(splat(1.0f), x * x);
    F near = fma(x, polynomial(z, ERF), x), far = 1.0f - g * erfc_tail(a);
    return {select(less(absolute(x), splat(1.0f)), near, with_sign(far, x)), g};
}
INLINE F erf_(F x) { return erf_pair(x).first; }

// ndtr and exp(-x*x/2).
INLINE Two ndtr_half_pair(F x) {
    F a = within_ndtr(x), g = gauss_half_of(a), q = 1.0f / (a + 1.75f);
    F y = g * (q * polynomial(q - 0.3125f, MILLS));
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

// (a - 2)/(a + 2) and 1/(1 + 2*a) for a >= 0, infinity included, with what the sums and quotients lose by
// rounding made good: near 0 the functions below magnify it.
struct Folded {
    F t, w;
};
INLINE Folded fold(F x) {
    F size = absolute(x), a = below(splat(1e9f), size);
    F top = a - 2.0f, bottom = a + 2.0f, inverse = 1.0f / bottom, t = top * inverse;
    F rest = fnma(t, bottom, top) + fnma(t, a - (bottom - 2.0f), a - (top + 2.0f));
    F half = size + 0.5f, w = 0.5f / half;
    F lost = fnma(w, size - (half - 0.5f), fnma(w, half, splat(0.5f)));
    return {fma(rest, inverse, t), select(less(size, splat(1e9f)), fma(lost, w + w, w), w)};
}

INLINE F erfcx(F x) {
    Folded f = fold(x);
    F y = polynomial(f.t, ERFCX) * f.w;
    M left = less(x, F{});
    return any(left) ? select(left, fms(splat(2.0f), gauss_growth(x), y), y) : y;
}

INLINE F erfcx_grad(F x) {
    Folded f = fold(x);
    F y = -(polynomial(f.t, ERFCX_SLOPE) * f.w) * f.w;
    M left = less(x, F{});
    return any(left) ? select(left, fma(4.0f * x, gauss_growth(x), y), y) : y;
}

INLINE F log_ndtr(F x) {
    F a = absolute(x);
    M left = less(x, F{});
    Folded f = fold(x);
    F mills = polynomial(f.t, MILLS_FAR) * f.w;
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
    F a, v, inverse, root_v, near_a, decay;
    M far;
};
INLINE Scaled scaled(F x) {
    Scaled s;
    s.a = absolute(x);
    s.far = less(splat(8.0f), s.a);
    s.near_a = below(splat(8.0f), s.a);
    // One division for both: v is 1/a above 8, and 1/(1 + a), which counts below, is there at least a number.
    s.inverse = 1.0f / select(s.far, s.a, s.near_a + 1.0f);
    s.v = below(splat(0.125f), s.inverse);
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
    return select(s.far, (s.v * s.root_v) * polynomial(s.v, BESSEL_FAR), s.inverse * polynomial(t, BESSEL));
}
// sign(x)*(i0e - i1e)(|x|), by which i0e falls.
INLINE F falling(F x, F y) { return select(equal(x, F{}), F{}, with_sign(y, x)); }
INLINE F i0e_fall(F x) { return falling(x, difference_of(scaled(x))); }
INLINE Two i0e_pair(F x) {
    Scaled s = scaled(x);
    return {i0e_of(s), falling(x, difference_of(s))};
}
// i0e(|x|) + i1e(|x|)
INLINE F sum_of(const Scaled& s) {
    F z = s.near_a * s.near_a, far = s.root_v * (polynomial(s.v, I0E_FAR) + polynomial(s.v, I1E_FAR));
    return select(s.far, far, s.decay * fma(s.near_a, polynomial(z, I1), polynomial(z, I0)));
}
INLINE F i0e_minus_i1e(F x) {
    Scaled s = scaled(x);
    M left = less(x, F{});
    F y = difference_of(s);
    return any(left) ? select(left, sum_of(s), y) : y;
}

}  // namespace SYMACT_ISA
