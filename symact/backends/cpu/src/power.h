// The real power in float32: log2 of the base in float64 halves, so that large exponents do not magnify
// its rounding. NaN for a negative base with an exponent that is not whole.
#pragma once

#include "functions.h"

namespace SYMACT_ISA {

// log2(2^k*(1 + s)/(1 - s)) = k + 2/ln(2)*(s + s^3/3 + s^5/5 + ...), |s| <= 0.2.
INLINE D wide_log2(F u) {
    I k = power_of_two(u);
    D m = __builtin_convertvector(real(bits(u) - (k << 23)), D);
    D s = (m - 1.0) / (m + 1.0), z = s * s;
    D sum = z * (1.0 / 17) + 1.0 / 15;
    sum = sum * z + 1.0 / 13;
    sum = sum * z + 1.0 / 11;
    sum = sum * z + 1.0 / 9;
    sum = sum * z + 1.0 / 7;
    sum = sum * z + 1.0 / 5;
    sum = sum * z + 1.0 / 3;
    sum = sum * z + 1.0;
    return __builtin_convertvector(k, D) + s * sum * 2.8853900817779268;
}

static F power_rest(F y, F a, F b, M lanes) {
    for (int i = 0; i < WIDTH; i++)
        if (lane(lanes, i)) y[i] = static_cast<float>(std::pow(static_cast<double>(a[i]), static_cast<double>(b[i])));
    return y;
}

INLINE F power(F a, F b, Far& far) {
    F u = absolute(a);
    M plain = less_equal(splat(1.17549435e-38f), u) & less(u, splat(INFINITE)) & less(absolute(b), splat(INFINITE));
    D exact = __builtin_convertvector(b, D) * wide_log2(select(plain, u, splat(1.0f)));
    F near = below(splat(160.0f), above(splat(-160.0f), __builtin_convertvector(exact, F)));
    F n = nearest(near);
    F r = __builtin_convertvector(exact - __builtin_convertvector(n, D), F);
    r = below(splat(0.6f), above(splat(-0.6f), r)) * LN2;
    F y = scale(fma(r * r, polynomial(r, EXP), r) + 1.0f, n);
    I whole = integer(b);
    M huge = less_equal(splat(8388608.0f), absolute(b));
    M odd = odd_bit(whole) & less(absolute(b), splat(16777216.0f));
    F negative = select(equal(floating(whole), b) | huge, select(odd, -y, y), splat(__builtin_nanf("")));
    y = select(less(a, F{}), negative, y);
    M rest = not_(plain);
    if (!far.mend) far.seen = far.seen | rest;
    return far.mend && any(rest) ? power_rest(y, a, b, rest) : y;
}

}  // namespace SYMACT_ISA
