// Vectors of float32 on one instruction set: the source is compiled once per set, with SYMACT_ISA naming
// it (portable, avx2 or avx512), and everything lives in a namespace of that name. Arithmetic is that of
// the compiler's vector extensions; what they lack (fused multiply-add, rounding, masks) is here.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace SYMACT_ISA {

#if defined(__AVX512F__)
constexpr int WIDTH = 16;
#elif defined(__AVX2__)
constexpr int WIDTH = 8;
#else
constexpr int WIDTH = 4;
#endif

typedef float F __attribute__((vector_size(4 * WIDTH)));
typedef int32_t I __attribute__((vector_size(4 * WIDTH)));
typedef double D __attribute__((vector_size(8 * WIDTH)));
typedef int64_t L __attribute__((vector_size(8 * WIDTH)));
typedef float Unaligned __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))

INLINE F load(const float* p) { return *reinterpret_cast<const Unaligned*>(p); }
INLINE void store(float* p, F v) { *reinterpret_cast<Unaligned*>(p) = v; }
INLINE F splat(float v) { return v - F{}; }
INLINE I bits(F v) { return reinterpret_cast<I>(v); }
INLINE F real(I v) { return reinterpret_cast<F>(v); }
INLINE I integer(F v) { return __builtin_convertvector(v, I); }
INLINE F floating(I v) { return __builtin_convertvector(v, F); }

// Masks: a bit per lane on AVX-512, a full lane elsewhere.
#if defined(__AVX512F__)
typedef __mmask16 M;
INLINE M less(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
INLINE M less_equal(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
INLINE M equal(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
INLINE M is_nan(F a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q); }
INLINE M odd_bit(I a) { return _mm512_test_epi32_mask((__m512i)a, _mm512_set1_epi32(1)); }
INLINE M not_(M m) { return static_cast<M>(~m); }
INLINE bool any(M m) { return m != 0; }
INLINE bool lane(M m, int i) { return (m >> i) & 1; }
INLINE F select(M m, F a, F b) { return _mm512_mask_blend_ps(m, b, a); }
INLINE F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
INLINE F fnma(F a, F b, F c) { return _mm512_fnmadd_ps(a, b, c); }
INLINE F fms(F a, F b, F c) { return _mm512_fmsub_ps(a, b, c); }
INLINE F nearest(F a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
INLINE F root(F a) { return _mm512_sqrt_ps(a); }
// The second operand is what comes out when either is NaN, so a bound stands first.
INLINE F above(F bound, F a) { return _mm512_max_ps(bound, a); }
INLINE F below(F bound, F a) { return _mm512_min_ps(bound, a); }
INLINE F scale(F a, F n) { return _mm512_scalef_ps(a, n); }
#else
typedef I M;
INLINE M less(F a, F b) { return a < b; }
INLINE M less_equal(F a, F b) { return a <= b; }
INLINE M equal(F a, F b) { return a == b; }
INLINE M is_nan(F a) { return a != a; }
INLINE M odd_bit(I a) { return (a & 1) != 0; }
INLINE M not_(M m) { return ~m; }
INLINE bool lane(M m, int i) { return m[i] != 0; }
INLINE F select(M m, F a, F b) { return m ? a : b; }
#if defined(__AVX2__)
INLINE bool any(M m) { return _mm256_movemask_ps((__m256)m) != 0; }
INLINE F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
INLINE F fnma(F a, F b, F c) { return _mm256_fnmadd_ps(a, b, c); }
INLINE F fms(F a, F b, F c) { return _mm256_fmsub_ps(a, b, c); }
INLINE F nearest(F a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
INLINE F root(F a) { return _mm256_sqrt_ps(a); }
INLINE F above(F bound, F a) { return _mm256_max_ps(bound, a); }
INLINE F below(F bound, F a) { return _mm256_min_ps(bound, a); }
#else
INLINE bool any(M m) { return (m[0] | m[1] | m[2] | m[3]) != 0; }
INLINE F fma(F a, F b, F c) { return a * b + c; }
INLINE F fnma(F a, F b, F c) { return c - a * b; }
INLINE F fms(F a, F b, F c) { return a * b - c; }
// Adding 1.5*2^23 leaves no fraction; good for |a| < 2^22, which is all that is asked for.
INLINE F nearest(F a) { return (a + 12582912.0f) - 12582912.0f; }
INLINE F root(F a) {
    for (int i = 0; i < WIDTH; i++) a[i] = __builtin_sqrtf(a[i]);
    return a;
}
INLINE F above(F bound, F a) { return bound > a ? bound : a; }
INLINE F below(F bound, F a) { return bound < a ? bound : a; }
#endif
// a*2^n in two factors, so that a result below the normal range is rounded once.
INLINE F scale(F a, F n) {
    I whole = integer(n), half = whole >> 1;
    return a * real((half + 127) << 23) * real((whole - half + 127) << 23);
}
#endif

INLINE F absolute(F a) { return real(bits(a) & 0x7fffffff); }
INLINE F minus_absolute(F a) { return real(bits(a) | static_cast<int32_t>(0x80000000)); }
INLINE F with_sign(F a, F sign) {
    return real((bits(a) & 0x7fffffff) | (bits(sign) & static_cast<int32_t>(0x80000000)));
}

// a*a - h, where h is a*a rounded: what rounding took away.
INLINE F square_rest(F a, F h) {
#if defined(__AVX2__)
    return fms(a, a, h);
#else
    F high = real(bits(a) & static_cast<int32_t>(0xfffff000)), low = a - high;
    return ((high * high - h) + 2.0f * (high * low)) + low * low;
#endif
}

// Horner's rule, lowest degree first.
template <int N>
INLINE F polynomial(F x, const float (&c)[N]) {
    F sum = splat(c[N - 1]);
#pragma GCC unroll 32
    for (int i = N - 2; i >= 0; i--) sum = fma(sum, x, splat(c[i]));
    return sum;
}

}  // namespace SYMACT_ISA
