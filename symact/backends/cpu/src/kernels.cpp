// The kernels of one instruction set: for each operation a loop over a block, and the conversions of blocks.
#include "gates.h"
#include "power.h"
#include "special.h"

#define TEXT2(a) #a
#define TEXT(a) TEXT2(a)

namespace SYMACT_ISA {

INLINE F copy(F a) { return a; }
INLINE F negate(F a) { return -a; }
INLINE F whole(F a) {
    F t = floating(integer(a));
    return select(less(absolute(a), splat(8388608.0f)), t - select(less(a, t), splat(1.0f), F{}), a);
}
INLINE F sign(F a) { return select(less(F{}, a), splat(1.0f), select(less(a, F{}), splat(-1.0f), F{})); }
INLINE F add(F a, F b) { return a + b; }
INLINE F subtract(F a, F b) { return a - b; }
INLINE F reversed(F a, F b) { return b - a; }
INLINE F multiply(F a, F b) { return a * b; }
INLINE F divide(F a, F b) { return a / b; }
// Of equal arguments the first, as to the sign of zero.
INLINE F maximum(F a, F b) { return select(is_nan(b), b, above(b, a)); }
INLINE F minimum(F a, F b) { return select(is_nan(b), b, below(b, a)); }
INLINE F is_less(F a, F b) { return select(less(a, b), splat(1.0f), F{}); }
INLINE F is_less_equal(F a, F b) { return select(less_equal(a, b), splat(1.0f), F{}); }
INLINE F is_equal(F a, F b) { return select(equal(a, b), splat(1.0f), F{}); }

// The loops of functions of one to three arguments, and of pairs of functions.
template <auto f>
void unary(const Step& s, const Frame& t) {
    const auto made = [](Far& far, F a) __attribute__((always_inline)) { return value<f>(far, a); };
    map<HAS_FAR<f, F>>(t.n, made, result<float>(t, s.y), Operand<float>(t, s.a));
}

template <auto f>
void binary(const Step& s, const Frame& t) {
    const auto made = [](Far& far, F a, F b) __attribute__((always_inline)) { return value<f>(far, a, b); };
    map<HAS_FAR<f, F, F>>(t.n, made, result<float>(t, s.y), Operand<float>(t, s.a), Operand<float>(t, s.b));
}

template <auto f>
void times_angle(const Step& s, const Frame& t) {
    const auto made = [](Far& far, F a, F b, F c, F d) __attribute__((always_inline)) {
        return value<f>(far, a, b) * c * d;
    };
    map<HAS_FAR<f, F, F>>(t.n, made, result<float>(t, s.y), Operand<float>(t, s.a), Operand<float>(t, s.b),
                          Operand<float>(t, s.c), Operand<float>(t, s.d));
}

template <auto f>
void ternary(const Step& s, const Frame& t) {
    const auto made = [](Far& far, F a, F b, F c) __attribute__((always_inline)) { return value<f>(far, a, b, c); };
    map<HAS_FAR<f, F, F, F>>(t.n, made, result<float>(t, s.y), Operand<float>(t, s.a), Operand<float>(t, s.b),
                             Operand<float>(t, s.c));
}

template <auto f>
void pair(const Step& s, const Frame& t) {
    const auto made = [](Far& far, F a) __attribute__((always_inline)) { return value<f>(far, a); };
    map_pair<HAS_FAR<f, F>>(t.n, made, result<float>(t, s.y), result<float>(t, s.z), Operand<float>(t, s.a));
}

template <auto f>
void binary_pair(const Step& s, const Frame& t) {
    const auto made = [](Far& far, F a, F b) __attribute__((always_inline)) { return value<f>(far, a, b); };
    map_pair<HAS_FAR<f, F, F>>(t.n, made, result<float>(t, s.y), result<float>(t, s.z), Operand<float>(t, s.a),
                               Operand<float>(t, s.b));
}

template <auto f>
void ternary_pair(const Step& s, const Frame& t) {
    const auto made = [](Far& far, F a, F b, F c) __attribute__((always_inline)) { return value<f>(far, a, b, c); };
    map_pair<HAS_FAR<f, F, F, F>>(t.n, made, result<float>(t, s.y), result<float>(t, s.z), Operand<float>(t, s.a),
                                  Operand<float>(t, s.b), Operand<float>(t, s.c));
}

void where(const Step& s, const Frame& t) {
    Operand<float> a(t, s.a), b(t, s.b), c(t, s.c);
    float* y = t.at[s.y];
    for (int64_t i = 0; i < t.n; i += WIDTH) store(y + i, select(equal(a[i], F{}), c[i], b[i]));
}

template <M (*f)(F, F)>
void choice(const Step& s, const Frame& t) {
    Operand<float> a(t, s.a), b(t, s.b), c(t, s.c), d(t, s.d);
    float* y = t.at[s.y];
    for (int64_t i = 0; i < t.n; i += WIDTH) store(y + i, select(f(a[i], b[i]), c[i], d[i]));
}

void clip(const Step& s, const Frame& t) {
    Operand<float> a(t, s.a);
    F b = load(t.at[s.b]), c = load(t.at[s.c]);
    float* y = t.at[s.y];
    for (int64_t i = 0; i < t.n; i += WIDTH) store(y + i, below(c, above(b, a[i])));
}

template <bool TIMES>
void where_inside(const Step& s, const Frame& t) {
    Operand<float> a(t, s.a), d(t, s.d), e(t, s.e);
    F b = load(t.at[s.b]), c = load(t.at[s.c]);
    float* y = t.at[s.y];
    for (int64_t i = 0; i < t.n; i += WIDTH) {
        F v = a[i], u = TIMES ? d[i] * e[i] : d[i];
        store(y + i, select(less(b, v) & less(v, c), u, F{}));
    }
}

template <bool BOTH>
void clip_line(const Step& s, const Frame& t) {
    Operand<float> a(t, s.a);
    // A slope, an offset and bounds are constants.
    F b = load(t.at[s.b]), c = load(t.at[s.c]), d = load(t.at[s.d]), e = load(t.at[s.e]);
    float *y = t.at[s.y], *z = t.at[s.z];
    for (int64_t i = 0; i < t.n; i += WIDTH) {
        F line = a[i] * b + c;
        store(y + i, below(e, above(d, line)));
        if (BOTH) store(z + i, line);
    }
}

// Arithmetic of a fused step by number: add, subtract, multiply, reversed subtract.
template <int K>
INLINE F arithmetic(F a, F b) {
    return K == 0 ? a + b : K == 1 ? a - b : K == 2 ? a * b : b - a;
}

// (a P b) Q c
template <int P, int Q>
void chain2(const Step& s, const Frame& t) {
    Operand<float> a(t, s.a), b(t, s.b), c(t, s.c);
    float* y = t.at[s.y];
    for (int64_t i = 0; i < t.n; i += WIDTH) store(y + i, arithmetic<Q>(arithmetic<P>(a[i], b[i]), c[i]));
}

// (a P b) Q (c R d)
template <int P, int Q, int R>
void tree(const Step& s, const Frame& t) {
    Operand<float> a(t, s.a), b(t, s.b), c(t, s.c), d(t, s.d);
    float* y = t.at[s.y];
    for (int64_t i = 0; i < t.n; i += WIDTH)
        store(y + i, arithmetic<Q>(arithmetic<P>(a[i], b[i]), arithmetic<R>(c[i], d[i])));
}

// ((a P b) Q c) R d
template <int P, int Q, int R>
void chain3(const Step& s, const Frame& t) {
    Operand<float> a(t, s.a), b(t, s.b), c(t, s.c), d(t, s.d);
    float* y = t.at[s.y];
    for (int64_t i = 0; i < t.n; i += WIDTH)
        store(y + i, arithmetic<R>(arithmetic<Q>(arithmetic<P>(a[i], b[i]), c[i]), d[i]));
}

void read_bfloat16(float* to, const uint16_t* from, int64_t n) {
    for (int64_t i = 0; i < n; i += WIDTH) store(to + i, real(widened(from + i) << 16));
}
void write_bfloat16(uint16_t* to, const float* from, int64_t n) {
    for (int64_t i = 0; i < n; i += WIDTH) *reinterpret_cast<Half*>(to + i) = narrowed(rounded(load(from + i)) >> 16);
}

#if defined(__AVX2__)
void read_float16(float* to, const uint16_t* from, int64_t n) {
    for (int64_t i = 0; i < n; i += 8)
        _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i))));
}
void write_float16(uint16_t* to, const float* from, int64_t n) {
    for (int64_t i = 0; i < n; i += 8)
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i),
                         _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT));
}
#else
void read_float16(float* to, const uint16_t* from, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        uint32_t h = from[i], sign = (h & 0x8000) << 16, rest = h & 0x7fff;
        uint32_t b = rest << 13;
        float v;
        if (rest >= 0x7c00) {
            b |= 0x7f800000;
            std::memcpy(&v, &b, 4);
        } else {
            // The exponent is rebased by a multiplication, which is exact for subnormal numbers too.
            std::memcpy(&v, &b, 4);
            v *= 5.192296858534828e33f;
        }
        to[i] = std::copysign(v, sign ? -1.0f : 1.0f);
    }
}
void write_float16(uint16_t* to, const float* from, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        float a = std::fabs(from[i]);
        uint32_t b, sign = std::signbit(from[i]) ? 0x8000 : 0, h;
        if (a != a) {
            h = 0x7e00;
        } else if (a >= 65520.0f) {
            h = 0x7c00;
        } else if (a < 6.103515625e-05f) {
            // Adding 2^-1 * 2^-13 leaves the subnormal significand, rounded, in the lowest bits.
            float shifted = a + 0.5f;
            std::memcpy(&b, &shifted, 4);
            h = b - 0x3f000000;
        } else {
            std::memcpy(&b, &a, 4);
            h = ((b + 0xfff + ((b >> 13) & 1)) >> 13) - (112 << 10);
        }
        to[i] = static_cast<uint16_t>(sign | h);
    }
}
#endif

double sum(const float* from, int64_t n) {
    D total = {};
    int64_t i = 0;
    for (; i + WIDTH <= n; i += WIDTH) total += __builtin_convertvector(load(from + i), D);
    double result = 0.0;
    for (int k = 0; k < WIDTH; k++) result += total[k];
    for (; i < n; i++) result += static_cast<double>(from[i]);
    return result;
}

INLINE M is_outside(F x, float low, float high, bool zero) {
    F a = absolute(x);
    M below_low = zero ? less(F{}, a) & less(a, splat(low)) : less(a, splat(low)) | equal(a, F{});
    return below_low | less(splat(high), a);
}
bool outside(const float* x, int64_t n, float low, float high, bool zero) {
    M found = less(F{}, F{});
    for (int64_t i = 0; i < n; i += WIDTH) found = found | is_outside(load(x + i), low, high, zero);
    return any(found);
}
void mark(const float* x, int64_t n, float low, float high, bool zero, int32_t* marks) {
    float* at = reinterpret_cast<float*>(marks);
    const F all = real(I{} - 1);
    for (int64_t i = 0; i < n; i += WIDTH)
        store(at + i, select(is_outside(load(x + i), low, high, zero), all, load(at + i)));
}
void replace(float* to, const double* from, int64_t n, const int32_t* marks) {
    typedef double Wide __attribute__((vector_size(8 * WIDTH), aligned(8), may_alias));
    for (int64_t i = 0; i < n; i += WIDTH) {
        const F exact = __builtin_convertvector(*reinterpret_cast<const Wide*>(from + i), F);
        const I marked = bits(load(reinterpret_cast<const float*>(marks + i)));
        store(to + i, real((bits(exact) & marked) | (bits(load(to + i)) & ~marked)));
    }
}

void accumulate(double* to, const float* from, int64_t n) {
    for (int64_t i = 0; i < n; i++) to[i] += static_cast<double>(from[i]);
}

}  // namespace SYMACT_ISA

namespace symact {

using namespace SYMACT_ISA;

#define CHAIN2(p) chain2<p, 0>, chain2<p, 1>, chain2<p, 2>, chain2<p, 3>
#define TREE2(p, q) tree<p, q, 0>, tree<p, q, 1>, tree<p, q, 2>
#define TREE(p) TREE2(p, 0), TREE2(p, 1), TREE2(p, 2)
#define CHAIN32(p, q) chain3<p, q, 0>, chain3<p, q, 1>, chain3<p, q, 2>, chain3<p, q, 3>
#define CHAIN3(p) CHAIN32(p, 0), CHAIN32(p, 1), CHAIN32(p, 2), CHAIN32(p, 3)
#define UNARY(name, function) unary<SYMACT_ISA::function>,
#define BINARY(name, function) binary<SYMACT_ISA::function>,
#define TIMES(name, function) times<float, SYMACT_ISA::function>,
#define PAIR(first, second, function) pair<SYMACT_ISA::function>,
#define GATE(first, second, function) gate<float, SYMACT_ISA::function>,
#define CLIP_TIMES(first, second, function) clip_times<float, SYMACT_ISA::function>,
#define CLIP_GATE(first, second, function) clip_gate<float, SYMACT_ISA::function>,
#define CHOICE(name, function) choice<SYMACT_ISA::function>,
#define TIMES_ANGLE(name, function) times_angle<SYMACT_ISA::function>,
#define IN_TWO(name, function) binary_pair<SYMACT_ISA::function>,
#define SCALED(name, function) ternary<SYMACT_ISA::function>,

extern const KernelTable BFLOAT16_KERNELS;
extern const DoubleTable JOIN(SYMACT_ISA, _double_kernels);

extern const Machine JOIN(SYMACT_ISA, _machine) = {
    TEXT(SYMACT_ISA),
    {SYMACT_UNARY(UNARY) SYMACT_BINARY(BINARY) SYMACT_ISA::where, SYMACT_UNARY_MORE(UNARY)
         SYMACT_TIMES(TIMES) SYMACT_CHOICE(CHOICE) SYMACT_ISA::clip, SYMACT_ISA::where_inside<false>,
         SYMACT_ISA::where_inside<true>,
         SYMACT_ISA::clip_line<false>, SYMACT_ISA::clip_line<true>, SYMACT_ANGLES(BINARY) SYMACT_IN_TWO(IN_TWO)
         SYMACT_SCALED(SCALED) SYMACT_ISA::ternary_pair<SYMACT_ISA::scaled_pair>, SYMACT_ANGLES(TIMES_ANGLE)
         SYMACT_PAIRS(PAIR) SYMACT_PAIRS(GATE) SYMACT_GATES(CLIP_TIMES) SYMACT_GATES(CLIP_GATE)
     CHAIN2(0), CHAIN2(1), CHAIN2(2), TREE(0), TREE(1), TREE(2), CHAIN3(0), CHAIN3(1),
     CHAIN3(2)},
    &BFLOAT16_KERNELS,
    &JOIN(SYMACT_ISA, _double_kernels),
    SYMACT_ISA::read_bfloat16,
    SYMACT_ISA::write_bfloat16,
    SYMACT_ISA::read_float16,
    SYMACT_ISA::write_float16,
    SYMACT_ISA::sum,
    SYMACT_ISA::outside,
    SYMACT_ISA::mark,
    SYMACT_ISA::replace,
    SYMACT_ISA::accumulate,
};

}  // namespace symact
