// Sines and their kin of angles of up to 1e5 in float32; larger ones are computed in float64. An angle may have a
// second word, `rest`: what rounding took from x. Reduction is that of Cody and Waite, with pi in three words.
#pragma once

#include "coefficients.h"
#include "vector.h"

namespace SYMACT_ISA {

// Two functions of one argument.
struct Two {
    F first, second;
};

// The second word of an angle that has none.
struct Nothing {};
INLINE F plus(F a, F rest) { return a + rest; }
INLINE F plus(F a, Nothing) { return a; }
INLINE D plus(D a, F rest) { return a + __builtin_convertvector(rest, D); }
INLINE D plus(D a, Nothing) { return a; }
INLINE double angle_of(F x, F rest, int i) { return static_cast<double>(x[i]) + static_cast<double>(rest[i]); }
INLINE double angle_of(F x, Nothing, int i) { return static_cast<double>(x[i]); }

INLINE M far_angle(F x) { return not_(less_equal(absolute(x), splat(1e5f))); }

// What becomes of lanes that only scalar code computes: they are computed by it, or only noted in `seen`.
struct Far {
    bool mend;
    M seen;
};

// Recomputes in float64 the lanes of angles that are too large, or notes them.
template <class Rest, class Scalar>
INLINE F patch_angle(F y, F x, Rest rest, Far& far, Scalar f) {
    const M lanes = far_angle(x);
    if (!far.mend)
        far.seen = far.seen | lanes;
    else if (any(lanes))
        for (int i = 0; i < WIDTH; i++)
            if (lane(lanes, i)) y[i] = static_cast<float>(f(angle_of(x, rest, i)));
    return y;
}

// x + rest - n*pi, where 2n is a whole number near 2x/pi. The first difference is exact, and so is the sum with the
// rest where it cancels: the result is right to its last digits also at multiples of pi.
template <class Rest>
INLINE F less_turns(F x, Rest rest, F n) {
#if defined(__AVX2__)
    F r = plus(fnma(n, splat(3.14159274e+00f), x), rest);
    r = fnma(n, splat(-8.74227766e-08f), r);
    return fnma(n, splat(-3.43024902e-15f), r);
#else
    D turns = __builtin_convertvector(n, D), r = __builtin_convertvector(x, D) - turns * 3.14159265346825122833e+00;
    return __builtin_convertvector(plus(r, rest) - turns * 1.21542010130123846498e-10, F);
#endif
}

// Added to a number below 2^22, it leaves the nearest whole number in the lowest bits.
constexpr float WHOLE = 12582912.0f;
constexpr float INVERSE_PI = 0.318309886f;

INLINE I sign_bit(I parity) { return parity << 31; }

// sin(r) for |r| <= 1.59.
INLINE F sine_half_turn(F r) {
    F z = r * r;
    return fma(r * z, polynomial(z, SIN_HALF_TURN), r);
}

template <class Rest>
INLINE F sine_near(F x, Rest rest) {
    F t = fma(x, splat(INVERSE_PI), splat(WHOLE));
    return real(bits(sine_half_turn(less_turns(x, rest, t - WHOLE))) ^ sign_bit(bits(t)));
}

// cos(r + (k + 1/2)*pi) is sin(r), negative for even k: right at its roots as well.
template <class Rest>
INLINE F cosine_near(F x, Rest rest) {
    F t = fma(x, splat(INVERSE_PI), splat(-0.5f)) + WHOLE;
    return real(bits(sine_half_turn(less_turns(x, rest, (t - WHOLE) + 0.5f))) ^ sign_bit(~bits(t)));
}

INLINE double scalar_sin(double a) { return std::sin(a); }
INLINE double scalar_cos(double a) { return std::cos(a); }
INLINE double scalar_sinc(double a) { return std::sin(a) / a; }
INLINE double scalar_sinc_grad(double a) { return (std::cos(a) - std::sin(a) / a) / a; }

INLINE F sin_sum(F x, F rest, Far& far) { return patch_angle(sine_near(x, rest), x, rest, far, scalar_sin); }
INLINE F cos_sum(F x, F rest, Far& far) { return patch_angle(cosine_near(x, rest), x, rest, far, scalar_cos); }
INLINE F sin_(F x, Far& far) {
    F y = select(equal(x, F{}), x, sine_near(x, Nothing{}));
    return patch_angle(y, x, Nothing{}, far, scalar_sin);
}
INLINE F cos_(F x, Far& far) { return patch_angle(cosine_near(x, Nothing{}), x, Nothing{}, far, scalar_cos); }

template <class Rest>
INLINE F sinc_of(F x, Rest rest, Far& far) {
    F y = select(less(absolute(x), splat(1e-30f)), splat(1.0f), sine_near(x, rest) / x);
    return patch_angle(y, x, rest, far, scalar_sinc);
}
INLINE F sinc(F x, Far& far) { return sinc_of(x, Nothing{}, far); }
INLINE F sinc_sum(F x, F rest, Far& far) { return sinc_of(x, rest, far); }

template <class Rest>
INLINE F sinc_grad_of(F x, Rest rest, Far& far) {
    F square = below(splat(4.0f), x * x), close = x * polynomial(square, SINC_GRAD);
    F t = fma(x, splat(INVERSE_PI), splat(WHOLE)), r = less_turns(x, rest, t - WHOLE), z = r * r;
    F cosine = fma(z * z, polynomial(z, COS_HALF_TURN), fma(z, splat(-0.5f), splat(1.0f)));
    F inverse = 1.0f / x, sine = fma(r * z, polynomial(z, SIN_HALF_TURN), r);
    F y = real(bits((cosine - sine * inverse) * inverse) ^ sign_bit(bits(t)));
    y = select(less(absolute(x), splat(2.0f)), close, y);
    return patch_angle(y, x, rest, far, scalar_sinc_grad);
}
INLINE F sinc_grad(F x, Far& far) { return sinc_grad_of(x, Nothing{}, far); }
INLINE F sinc_grad_sum(F x, F rest, Far& far) { return sinc_grad_of(x, rest, far); }

INLINE F sine(F r) {
    F z = r * r;
    return fma(r * z, polynomial(z, SIN), r);
}
INLINE F cosine(F r) {
    F z = r * r;
    return fma(z * z, polynomial(z, COS), fma(z, splat(-0.5f), splat(1.0f)));
}

// Both, of an angle near 0 in place of x, and quarters of turns between them in the lowest bits.
struct Quarters {
    F sine, cosine;
    I turns;
};

template <class Rest>
INLINE Quarters quarters(F x, Rest rest) {
    F t = fma(x, splat(0.636619772367581f), splat(WHOLE)), r = less_turns(x, rest, (t - WHOLE) * 0.5f);
    return {sine(r), cosine(r), bits(t)};
}

template <class Rest>
INLINE Two sin_and_cos(F x, Rest rest, Far& far) {
    Quarters q = quarters(x, rest);
    M odd = odd_bit(q.turns);
    F first = real(bits(select(odd, q.cosine, q.sine)) ^ ((q.turns & 2) << 30));
    F second = real(bits(select(odd, q.sine, q.cosine)) ^ (((q.turns + 1) & 2) << 30));
    return {patch_angle(first, x, rest, far, scalar_sin), patch_angle(second, x, rest, far, scalar_cos)};
}
INLINE Two sin_pair(F x, Far& far) {
    Two two = sin_and_cos(x, Nothing{}, far);
    return {select(equal(x, F{}), x, two.first), two.second};
}
INLINE Two sin_sum_pair(F x, F rest, Far& far) { return sin_and_cos(x, rest, far); }

INLINE F tan_(F x, Far& far) {
    Quarters q = quarters(x, Nothing{});
    M odd = odd_bit(q.turns);
    F y = select(odd, -q.cosine, q.sine) / select(odd, q.sine, q.cosine);
    return patch_angle(select(equal(x, F{}), x, y), x, Nothing{}, far,
                       static_cast<double (*)(double)>(std::tan));
}

// What rounding takes from a*b, where that is finite.
INLINE F finite_product_rest(F a, F b) {
    F p = a * b;
#if defined(__AVX2__)
    return fms(a, b, p);
#else
    const int32_t upper = static_cast<int32_t>(0xfffff000);
    F c = real(bits(a) & upper), d = real(bits(b) & upper);
    return ((c * d - p) + c * (b - d) + (a - c) * d) + (a - c) * (b - d);
#endif
}
INLINE F product_rest(F a, F b) {
    F rest = finite_product_rest(a, b);
    return select(less_equal(absolute(rest), splat(3e38f)), rest, F{});
}

// What rounding takes from a + b.
INLINE F sum_rest(F a, F b) {
    F s = a + b, c = s - a;
    return (a - (s - c)) + (b - c);
}

// Functions of the angle a*b, and of a*(b + c), where b + c is a number in two words. Of an angle that is too large
// the rest may be anything: a product beyond all numbers has no sine.
template <F (*f)(F, F, Far&)>
INLINE F of_product(F a, F b, Far& far) {
    return f(a * b, finite_product_rest(a, b), far);
}
template <F (*f)(F, F, Far&)>
INLINE F of_scaled(F a, F b, F c, Far& far) {
    return f(a * b, fma(a, c, finite_product_rest(a, b)), far);
}

// Sums and products in two words.
INLINE Two sum_pair(F a, F b) { return {a + b, sum_rest(a, b)}; }
INLINE Two product_pair(F a, F b) { return {a * b, product_rest(a, b)}; }
INLINE Two scaled_pair(F a, F b, F c) { return {a * b, product_rest(a, b) + a * c}; }

// FINER, sin(w*x*(1 + |x|)), and cos(w*x*(1 + |x|))*(1 + 2*|x|), which is its slope over w (Liu et al. 2024,
// arXiv:2312.02434). The rest of 1 + |x| is exact up to 2^24, where 1 is a multiple of the last digit.
template <F (*f)(F, F, Far&)>
INLINE F of_finer(F x, F a, F w, Far& far) {
    F first = w * x, size = 1.0f + a, rest = a - (size - 1.0f);
    rest = fma(finite_product_rest(w, x), size, first * rest);
    return f(first * size, finite_product_rest(first, size) + rest, far);
}
INLINE F finer(F x, F w, Far& far) { return of_finer<sin_sum>(x, absolute(x), w, far); }
INLINE F finer_slope(F x, F w, Far& far) {
    F a = absolute(x);
    return of_finer<cos_sum>(x, a, w, far) * ((a + 1.0f) + a);
}

}  // namespace SYMACT_ISA
