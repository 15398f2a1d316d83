// Vectors of float64 on one instruction set, as vector.h has those of float32.
#pragma once

#include <cmath>
#include <cstdint>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))

namespace SYMACT_ISA::in_double {

#if defined(__AVX512F__)
constexpr int WIDTH = 8;
#elif defined(__AVX2__)
constexpr int WIDTH = 4;
#else
constexpr int WIDTH = 2;
#endif

typedef double D __attribute__((vector_size(8 * WIDTH)));
typedef int64_t L __attribute__((vector_size(8 * WIDTH)));
typedef uint64_t U __attribute__((vector_size(8 * WIDTH)));
typedef double Unaligned __attribute__((vector_size(8 * WIDTH), aligned(8), may_alias));

INLINE D load(const double* p) { return *reinterpret_cast<const Unaligned*>(p); }
INLINE void store(double* p, D v) { *reinterpret_cast<Unaligned*>(p) = v; }
INLINE D splat(double v) { return v - D{}; }
INLINE U bits(D v) { return reinterpret_cast<U>(v); }
INLINE D real(U v) { return reinterpret_cast<D>(v); }

// Masks: a bit per lane on AVX-512, a full lane elsewhere.
#if defined(__AVX512F__)
typedef __mmask8 M;
INLINE M less(D a, D b) { return _mm512_cmp_pd_mask(a, b, _CMP_LT_OQ); }
INLINE M less_equal(D a, D b) { return _mm512_cmp_pd_mask(a, b, _CMP_LE_OQ); }
INLINE M equal(D a, D b) { return _mm512_cmp_pd_mask(a, b, _CMP_EQ_OQ); }
INLINE M is_nan(D a) { return _mm512_cmp_pd_mask(a, a, _CMP_UNORD_Q); }
INLINE M odd_bit(U a) { return _mm512_test_epi64_mask((__m512i)a, _mm512_set1_epi64(1)); }
INLINE M not_(M m) { return static_cast<M>(~m); }
INLINE bool any(M m) { return m != 0; }
INLINE bool lane(M m, int i) { return (m >> i) & 1; }
INLINE D select(M m, D a, D b) { return _mm512_mask_blend_pd(m, b, a); }
INLINE D fma(D a, D b, D c) { return _mm512_fmadd_pd(a, b, c); }
INLINE D fnma(D a, D b, D c) { return _mm512_fnmadd_pd(a, b, c); }
INLINE D fms(D a, D b, D c) { return _mm512_fmsub_pd(a, b, c); }
INLINE D root(D a) { return _mm512_sqrt_pd(a); }
// The second operand is what comes out when either is NaN, so a bound stands first.
INLINE D above(D bound, D a) { return _mm512_max_pd(bound, a); }
INLINE D below(D bound, D a) { return _mm512_min_pd(bound, a); }
#else
typedef L M;
INLINE M less(D a, D b) { return a < b; }
INLINE M less_equal(D a, D b) { return a <= b; }
INLINE M equal(D a, D b) { return a == b; }
INLINE M is_nan(D a) { return a != a; }
INLINE M odd_bit(U a) { return (a & 1) != 0; }
INLINE M not_(M m) { return ~m; }
INLINE bool lane(M m, int i) { return m[i] != 0; }
INLINE D select(M m, D a, D b) { return m ? a : b; }
#if defined(__AVX2__)
INLINE bool any(M m) { return _mm256_movemask_pd((__m256d)m) != 0; }
INLINE D fma(D a, D b, D c) { return _mm256_fmadd_pd(a, b, c); }
INLINE D fnma(D a, D b, D c) { return _mm256_fnmadd_pd(a, b, c); }
INLINE D fms(D a, D b, D c) { return _mm256_fmsub_pd(a, b, c); }
INLINE D root(D a) { return _mm256_sqrt_pd(a); }
INLINE D above(D bound, D a) { return _mm256_max_pd(bound, a); }
INLINE D below(D bound, D a) { return _mm256_min_pd(bound, a); }
#else
INLINE bool any(M m) { return (m[0] | m[1]) != 0; }
INLINE D fma(D a, D b, D c) { return a * b + c; }
INLINE D fnma(D a, D b, D c) { return c - a * b; }
INLINE D root(D a) {
    for (int i = 0; i < WIDTH; i++) a[i] = __builtin_sqrt(a[i]);
    return a;
}
INLINE D above(D bound, D a) { return bound > a ? bound : a; }
INLINE D below(D bound, D a) { return bound < a ? bound : a; }
#endif
#endif

constexpr uint64_t SIGN = uint64_t{1} << 63;
INLINE D absolute(D a) { return real(bits(a) & ~SIGN); }
INLINE D with_sign(D a, D sign) { return real((bits(a) & ~SIGN) | (bits(sign) & SIGN)); }

// Added to a number below 2^51, it leaves the nearest whole number in the lowest bits.
constexpr double WHOLE = 6755399441055744.0;
INLINE D nearest(D a) { return (a + WHOLE) - WHOLE; }
// 2^n of a whole n in [-1022, 1023].
INLINE D power_of_two(D n) { return real(bits(n + (WHOLE + 1023.0)) << 52); }
#if defined(__AVX512F__)
INLINE D scale(D a, D n) { return _mm512_scalef_pd(a, n); }
#else
// a*2^n in two factors, so that a result below the normal range is rounded once.
INLINE D scale(D a, D n) {
    D half = nearest(0.5 * n);
    return a * power_of_two(half) * power_of_two(n - half);
}
#endif

// a*b - h, where h is a*b rounded: what rounding took away, of numbers whose parts do not overflow.
INLINE D rest_of_product(D a, D b, D h) {
#if defined(__AVX2__)
    return fms(a, b, h);
#else
    // Upper parts of 26 bits, to the nearest, so that lower ones have 26 at most and no product is rounded.
    constexpr uint64_t HALF = uint64_t{1} << 26, UPPER = ~(2 * HALF - 1);
    D c = real((bits(a) + HALF) & UPPER), d = real((bits(b) + HALF) & UPPER);
    return ((c * d - h) + c * (b - d) + (a - c) * d) + (a - c) * (b - d);
#endif
}

// Horner's rule, lowest degree first.
template <int N>
INLINE D polynomial(D x, const double (&c)[N]) {
    D sum = splat(c[N - 1]);
#pragma GCC unroll 32
    for (int i = N - 2; i >= 0; i--) sum = fma(sum, x, splat(c[i]));
    return sum;
}

}  // namespace SYMACT_ISA::in_double
