// Elementwise mathematics in float64 on whole vectors, a few units in the last place everywhere: what functions.h,
// circular.h and special.h are for float32. What few formulas call is computed by lanes (doubles.h).
#pragma once

#include "double_coefficients.h"
#include "double_vector.h"
#include "doubles.h"

namespace SYMACT_ISA::in_double {

constexpr double INFINITE = __builtin_inf();
constexpr double LN2 = 0.69314718055994531, LN2_HIGH = 0x1.62e42fefa38p-1, LN2_LOW = 0x1.ef35793c76730p-45;
constexpr double LOG2E = 0x1.71547652b82fep+0;
// Below it an odd function of slope 1 at 0 is its argument, and the next term no part of a unit in the last place.
constexpr double SAME = 1e-9;
constexpr double ROOT_HALF = 0.70710678118654752, TWO_OVER_ROOT_PI = 1.1283791670955126;

// What becomes of lanes that only scalar code computes: they are computed by it, or only noted in `seen`.
struct Far {
    bool mend;
    M seen;
};

template <double (*f)(double)>
INLINE D by_lanes(D x) {
    for (int i = 0; i < WIDTH; i++) x[i] = f(x[i]);
    return x;
}

// exp(x + rest) = (1 + p)*2^n with |p| < 0.42; x is already within [-746, 710].
struct Exponent {
    D p, n;
};
INLINE Exponent exponent(D x, D rest = D{}) {
    D n = nearest(x * LOG2E);
    D r = fnma(n, splat(LN2_LOW), fnma(n, splat(LN2_HIGH), x)) + rest;
    return {fma(r * r, polynomial(r, EXP), r), n};
}
INLINE D within_exp(D x) { return below(splat(710.0), above(splat(-746.0), x)); }

INLINE D exp_(D x) {
    Exponent e = exponent(within_exp(x));
    return scale(e.p + 1.0, e.n);
}
// exp(-|x|)
INLINE D decay(D x) {
    Exponent e = exponent(above(splat(-746.0), -absolute(x)));
    return scale(e.p + 1.0, e.n);
}
// Half of expm1: 2^1024 is out of range where the result is not.
INLINE D half_of_expm1(D x) {
    Exponent e = exponent(below(splat(710.0), above(splat(-40.0), x)));
    D half = power_of_two(e.n - 1.0);
    return select(equal(e.n, D{}), 0.5 * e.p, fma(e.p, half, half - 0.5));
}
// The half would round numbers near the smallest.
INLINE D expm1_(D x) {
    D y = 2.0 * half_of_expm1(x);
    return select(less(absolute(x), splat(1e-300)), x, y);
}

// exp(|x|)/2, whose overflow is that of sinh and cosh.
INLINE D half_growth(const Exponent& e) { return scale(e.p + 1.0, e.n - 1.0); }
INLINE D sinh_(D x) {
    D a = absolute(x);
    Exponent e = exponent(below(splat(711.0), a));
    // Below 1 from t = expm1(|x|)/2.
    D half = power_of_two(below(splat(2.0), e.n) - 1.0), t = select(equal(e.n, D{}), 0.5 * e.p, fma(e.p, half, half - 0.5));
    D near = t + t / (t + t + 1.0), h = half_growth(e);
    return select(less(a, splat(SAME)), x, with_sign(select(less(a, splat(1.0)), near, h - 0.25 / h), x));
}
INLINE D cosh_(D x) {
    D h = half_growth(exponent(below(splat(711.0), absolute(x))));
    return h + 0.25 / h;
}
INLINE D tanh_(D x) {
    D h = half_of_expm1(-2.0 * below(splat(20.0), absolute(x))), y = h / (h + 1.0);
    return select(less(absolute(x), splat(SAME)), x, with_sign(y, x));
}

INLINE D sigmoid(D x) {
    D e = decay(x);
    return select(less(x, D{}), e, splat(1.0)) / (e + 1.0);
}

// log(2^k*(1 + m) + c) of numbers that are normal, c less than a unit in the last place of the first.
INLINE D log_of_sum(D u, D c) {
    // Of a base 1/sqrt(2): m is in [-0.293, 0.415).
    constexpr uint64_t BASE = 0x3fe6a09e667f3bcd, OFFSET = uint64_t{1024} << 52;
    U power = (bits(u) - BASE + OFFSET) >> 52;
    D k = real(power | 0x4330000000000000) - (4503599627370496.0 + 1024.0);
    D m = real(bits(u) - (power << 52) + OFFSET) - 1.0;
    D s = m / (2.0 + m), z = s * s, h = 0.5 * m * m;
    D rest = fma(k, splat(LN2_LOW), c / u);
    return fma(k, splat(LN2_HIGH), m - (h - fma(s, fma(z, polynomial(z, LOG), h), rest)));
}
INLINE D log_positive(D x) {
    M tiny = less(x, splat(2.2250738585072014e-308));
    D y = log_of_sum(select(tiny, x * 18014398509481984.0, x), D{});
    return y - select(tiny, splat(54.0 * LN2), D{});
}
// The logarithm y of u where that is positive and finite, and what it is elsewhere.
INLINE D guarded(D y, D u) {
    y = select(less(u, splat(INFINITE)), y, u);
    y = select(less_equal(u, D{}), splat(-INFINITE), y);
    return select(less(u, D{}) | is_nan(u), splat(__builtin_nan("")), y);
}
INLINE D log_(D x) { return guarded(log_positive(x), x); }
// For x > -1, infinity left out.
INLINE D log1p_finite(D x) {
    D u = 1.0 + x, b = u - 1.0;
    return log_of_sum(u, (1.0 - (u - b)) + (x - b));
}
INLINE D log1p_(D x) { return select(less(absolute(x), splat(1e-300)), x, guarded(log1p_finite(x), 1.0 + x)); }
INLINE D softplus(D x) { return select(is_nan(x), x, above(D{}, x) + log1p_finite(decay(x))); }
INLINE D logsigmoid(D x) { return -softplus(-x); }
INLINE D logcosh(D x) {
    D a = absolute(x), t = 2.0 * half_of_expm1(-below(splat(1.0), a));
    // cosh(a) = 1 + t*t/(2*(1 + t)) with t = expm1(-a).
    D near = select(less(a, splat(SAME)), 0.5 * a * a, log1p_finite(t * t / (2.0 * (1.0 + t))));
    D far = (a - LN2) + log1p_finite(decay(2.0 * a));
    return select(is_nan(x), x, select(less(a, splat(1.0)), near, far));
}
INLINE D asinh_(D x) {
    D a = absolute(x), z = a * a, v = a + z / (1.0 + root(1.0 + z)), u = 1.0 + v, b = u - 1.0;
    M huge = less(splat(1e10), a);
    D rest = select(huge, D{}, (1.0 - (u - b)) + (v - b));
    D y = log_of_sum(select(huge, below(splat(1.7976931348623157e308), a), u), rest) + select(huge, splat(LN2), D{});
    y = select(less(a, splat(SAME)), a, select(less(a, splat(INFINITE)), y, a));
    return with_sign(y, x);
}

INLINE D atan_(D x) {
    D a = absolute(x);
    M out = less(splat(2.4142135623730950), a), middle = less(splat(0.41421356237309505), a);
    // Of a, of (a - 1)/(a + 1) beside pi/4, and of -1/a beside pi/2.
    D top = select(out, splat(-1.0), select(middle, a - 1.0, a));
    D bottom = select(out, a, select(middle, a + 1.0, splat(1.0)));
    D t = top / bottom, z = t * t, y = fma(t * z, polynomial(z, ATAN), t);
    D base = select(out, splat(0x1.921fb54442d18p+0), select(middle, splat(0x1.921fb54442d18p-1), D{}));
    D rest = select(out, splat(0x1.1a62633145c07p-54), select(middle, splat(0x1.1a62633145c07p-55), D{}));
    return with_sign(base + (y + rest), x);
}

INLINE D hypot1(D x) {
    D a = absolute(x);
    return select(less(splat(1e10), a), a, root(fma(a, a, splat(1.0))));
}

// Angles of up to 1e6; larger ones are computed by lanes.
INLINE M far_angle(D x) { return not_(less_equal(absolute(x), splat(1e6))); }
template <double (*f)(double)>
INLINE D patch_angle(D y, D x, Far& far) {
    const M lanes = far_angle(x);
    if (!far.mend)
        far.seen = far.seen | lanes;
    else if (any(lanes))
        for (int i = 0; i < WIDTH; i++)
            if (lane(lanes, i)) y[i] = f(x[i]);
    return y;
}

// Sine and cosine of an angle near 0 in place of x, and quarters of turns between them in the lowest bits. The first
// two parts of pi/2 have 33 bits, so that their products are exact without a fused multiply-add, too.
struct Quarters {
    D sine, cosine;
    U turns;
};
INLINE D sine_of(D r, D z) { return fma(r * z, polynomial(z, SIN), r); }
INLINE D cosine_of(D z) {
    D h = 0.5 * z, w = 1.0 - h;
    return w + fma(z * z, polynomial(z, COS), (1.0 - w) - h);
}
INLINE Quarters quarters(D x) {
    D t = x * 0x1.45f306dc9c883p-1 + WHOLE, n = t - WHOLE;
    D r = (x - n * 0x1.921fb544p+0) - n * 0x1.0b4611a6p-34;
    r = fnma(n, splat(0x1.3198a2e037073p-69), r);
    D z = r * r;
    return {sine_of(r, z), cosine_of(z), bits(t)};
}
INLINE D sine(const Quarters& q) {
    return real(bits(select(odd_bit(q.turns), q.cosine, q.sine)) ^ ((q.turns & 2) << 62));
}
INLINE D cosine(const Quarters& q) {
    return real(bits(select(odd_bit(q.turns), q.sine, q.cosine)) ^ (((q.turns + 1) & 2) << 62));
}
INLINE D sin_(D x, Far& far) { return patch_angle<symact::sine>(select(equal(x, D{}), x, sine(quarters(x))), x, far); }
INLINE D cos_(D x, Far& far) { return patch_angle<symact::cosine>(cosine(quarters(x)), x, far); }
INLINE D tan_(D x, Far& far) {
    Quarters q = quarters(x);
    M odd = odd_bit(q.turns);
    D y = select(odd, -q.cosine, q.sine) / select(odd, q.sine, q.cosine);
    return patch_angle<symact::tangent>(select(equal(x, D{}), x, y), x, far);
}
INLINE D sinc(D x, Far& far) {
    return select(equal(x, D{}), splat(1.0), sin_(x, far) / x);
}
INLINE D sinc_grad(D x, Far& far) {
    D a = absolute(x), z = below(splat(4.0), x * x), near = x * polynomial(z, SINC_GRAD);
    Quarters q = quarters(x);
    D y = select(less(a, splat(2.0)), near, (cosine(q) - sine(q) / x) / x);
    return patch_angle<symact::sinc_slope>(y, x, far);
}
// Of angles in two words.
INLINE D sin_sum(D a, D b, Far& far) {
    return fma(sin_(a, far), cos_(b, far), cos_(a, far) * sin_(b, far));
}
INLINE D cos_sum(D a, D b, Far& far) {
    return fma(cos_(a, far), cos_(b, far), -(sin_(a, far) * sin_(b, far)));
}

// exp(c*x*x), c of 1, -1, 1/2 or -1/2, with what x*x loses by rounding made good.
INLINE D exp_of_square(D x, double c) {
    D a = below(splat(40.0), absolute(x)), h = a * a;
    Exponent e = exponent(within_exp(c * h), c * rest_of_product(a, a, h));
    return scale(e.p + 1.0, e.n);
}
// 2*a/(a + 2), that less 1, which is (a - 2)/(a + 2), and 1/(1 + 2*a).
struct Folded {
    D u, t, w;
};
INLINE Folded fold(D x) {
    D a = absolute(x), b = below(splat(1e20), a), u = (b + b) / (b + 2.0);
    return {u, u - 1.0, 0.5 / (a + 0.5)};
}
// erfcx of |x|. What rounding takes from 1/(1 + 2*a) is made good, so that near 0 nothing but the last sum is rounded,
// and 1 at 0 is exact.
INLINE D erfcx_right(D x) {
    Folded f = fold(x);
    D a = absolute(x), d = a + 0.5, c = d - a, h = f.w * d;
    D rest = ((0.5 - h) - rest_of_product(f.w, d, h)) - f.w * ((a - (d - c)) + (0.5 - c));
    rest = select(less(a, splat(1e20)), rest + rest, D{});
    return fma(f.w, fma(f.u, polynomial(f.t, ERFCX), rest), f.w);
}
INLINE D erfc_(D x) {
    D y = exp_of_square(x, -1.0) * erfcx_right(x);
    return select(is_nan(x), x, select(less(x, D{}), 2.0 - y, y));
}
INLINE D erf_(D x) {
    D a = absolute(x), z = below(splat(1.0), x * x);
    D near = fma(x, polynomial(z, ERF), x), far = 1.0 - exp_of_square(x, -1.0) * erfcx_right(x);
    return select(is_nan(x), x, select(less(a, splat(1.0)), near, with_sign(far, x)));
}
INLINE D erfcx(D x) {
    D y = erfcx_right(x);
    M left = less(x, D{});
    return any(left) ? select(left, 2.0 * exp_of_square(x, 1.0) - y, y) : y;
}
INLINE D erfcx_grad(D x) {
    Folded f = fold(x);
    D y = -(polynomial(f.t, ERFCX_SLOPE) * f.w) * f.w;
    M left = less(x, D{});
    return any(left) ? select(left, fma(4.0 * x, exp_of_square(x, 1.0), y), y) : y;
}
// The half of erfcx(|x|/sqrt(2)), which exp(-x*x/2) makes ndtr(-|x|).
INLINE D mills(D x) { return 0.5 * erfcx_right(x * ROOT_HALF); }
INLINE D ndtr(D x) {
    D y = exp_of_square(x, -0.5) * mills(x);
    return select(is_nan(x), x, select(less(D{}, x), 1.0 - y, y));
}
INLINE D log_ndtr(D x) {
    D a = absolute(x), m = mills(x);
    D far = log_positive(above(splat(1e-307), m)) - (0.5 * a) * a, rest = exp_of_square(x, -0.5) * m;
    // Below the range of numbers it is a negative zero.
    D near = select(less(rest, splat(1e-300)), -rest, log1p_finite(-rest));
    return select(is_nan(x), x, select(less(x, D{}), far, near));
}

INLINE D i0e(D x) { return by_lanes<symact::i0e>(x); }
INLINE D i1e(D x) { return by_lanes<symact::i1e>(x); }
INLINE D i1e_ratio(D x) { return by_lanes<symact::i1e_ratio>(x); }
INLINE D i0e_minus_i1e(D x) { return by_lanes<symact::i0e_minus_i1e>(x); }
INLINE D power(D a, D b) {
    for (int i = 0; i < WIDTH; i++) a[i] = std::pow(a[i], b[i]);
    return a;
}

INLINE D copy(D a) { return a; }
INLINE D negate(D a) { return -a; }
INLINE D whole(D a) {
    D size = absolute(a), t = with_sign((size + 4503599627370496.0) - 4503599627370496.0, a);
    return select(less(size, splat(4503599627370496.0)), with_sign(t - select(less(a, t), splat(1.0), D{}), a), a);
}
INLINE D sign(D a) { return select(less(D{}, a), splat(1.0), select(less(a, D{}), splat(-1.0), D{})); }
INLINE D add(D a, D b) { return a + b; }
INLINE D subtract(D a, D b) { return a - b; }
INLINE D multiply(D a, D b) { return a * b; }
INLINE D divide(D a, D b) { return a / b; }
// Of equal arguments the first, as to the sign of zero.
INLINE D maximum(D a, D b) { return select(is_nan(b), b, above(b, a)); }
INLINE D minimum(D a, D b) { return select(is_nan(b), b, below(b, a)); }
INLINE D is_less(D a, D b) { return select(less(a, b), splat(1.0), D{}); }
INLINE D is_less_equal(D a, D b) { return select(less_equal(a, b), splat(1.0), D{}); }
INLINE D is_equal(D a, D b) { return select(equal(a, b), splat(1.0), D{}); }
// What rounding takes from a*b, where that is finite, and from a + b.
INLINE D product_rest(D a, D b) {
    D rest = rest_of_product(a, b, a * b);
    return select(less(absolute(rest), splat(INFINITE)), rest, D{});
}
INLINE D sum_rest(D a, D b) {
    D s = a + b, c = s - a;
    return (a - (s - c)) + (b - c);
}

}  // namespace SYMACT_ISA::in_double
