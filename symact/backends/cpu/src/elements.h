// How kernels read and write the elements of blocks: float32, and bfloat16 as it lies in memory.
#pragma once

#include <type_traits>

#include "circular.h"
#include "operations.h"

#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)
#define INLINE_MEMBER inline __attribute__((always_inline))
#define BFLOAT16_KERNELS JOIN(SYMACT_ISA, _bfloat16_kernels)

namespace SYMACT_ISA {

using symact::Step;
typedef symact::Frame<float> Frame;
typedef uint16_t Half __attribute__((vector_size(2 * WIDTH), aligned(2), may_alias));
typedef int32_t Pairs __attribute__((vector_size(4 * WIDTH), aligned(2), may_alias));
typedef uint32_t U __attribute__((vector_size(4 * WIDTH)));

// GCC 12 widens and narrows vectors of 512 bits in halves unless it is told the instruction.
#if defined(__AVX512F__)
INLINE I widened(const uint16_t* p) {
    return reinterpret_cast<I>(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
}
INLINE Half narrowed(I v) { return reinterpret_cast<Half>(_mm512_cvtepi32_epi16(reinterpret_cast<__m512i>(v))); }
#else
INLINE I widened(const uint16_t* p) { return __builtin_convertvector(*reinterpret_cast<const Half*>(p), I); }
INLINE Half narrowed(I v) { return __builtin_convertvector(v, Half); }
#endif

// A bfloat16 in the upper half of each number: to nearest, ties to even. The top bits of a NaN might all be zero, so it
// gets one of its own.
INLINE I rounded(F v) {
    I b = bits(v);
    b = b + (((b >> 16) & 1) + 0x7fff);
    return bits(select(is_nan(v), real(I{} + 0x7fc00000), real(b)));
}

// What a loop works on at a time. Numbers of 16 bits are taken in pairs, those at even and those at odd places: to put them
// side by side and back would cost more than the arithmetic.
template <class E>
struct Elements;
template <>
struct Elements<float> {
    static constexpr int VECTORS = 1;
    F at[VECTORS];
    INLINE_MEMBER static Elements read(const float* p) { return {{load(p)}}; }
    INLINE_MEMBER void write(float* p) const { store(p, at[0]); }
};
template <>
struct Elements<uint16_t> {
    static constexpr int VECTORS = 2;
    F at[VECTORS];
    INLINE_MEMBER static Elements read(const uint16_t* p) {
        const I v = *reinterpret_cast<const Pairs*>(p);
        return {{real(v << 16), real(v & UPPER)}};
    }
    INLINE_MEMBER void write(uint16_t* p) const {
        const U even = reinterpret_cast<U>(rounded(at[0])) >> 16;
        *reinterpret_cast<Pairs*>(p) = (rounded(at[1]) & UPPER) | reinterpret_cast<I>(even);
    }
    static constexpr int32_t UPPER = static_cast<int32_t>(0xffff0000);
};
template <class E>
constexpr int STEP = WIDTH * Elements<E>::VECTORS;

// One operand of a step: a whole block, or one value in 16 copies.
template <class E>
struct Operand {
    const E* at;
    int64_t mask;
    Operand(const Frame& frame, int slot)
        : at(reinterpret_cast<const E*>(frame.at[slot])), mask(frame.mask[slot]) {}
    INLINE_MEMBER F operator[](int64_t i) const { return load(at + (i & mask)); }
    INLINE_MEMBER Elements<E> elements(int64_t i) const { return Elements<E>::read(at + (i & mask)); }
};

template <class E>
E* result(const Frame& t, int slot) {
    return reinterpret_cast<E*>(t.at[slot]);
}

// Whether `f` of these arguments needs scalar code for some of them, and its value.
template <auto f, class... Arguments>
constexpr bool HAS_FAR = std::is_invocable_v<decltype(f), Arguments..., Far&>;
template <auto f, class... Arguments>
INLINE auto value(Far& far, Arguments... arguments) {
    if constexpr (HAS_FAR<f, Arguments...>)
        return f(arguments..., far);
    else
        return f(arguments...);
}

// write(i, make(i, far)) for each vector. A loop that calls scalar code keeps no constant in a register, so from the first
// vector on that needs some, another loop takes over.
template <int STEP, class Make, class Write>
static __attribute__((noinline)) void mended(int64_t i, int64_t n, Make make, Write write) {
    for (; i < n; i += STEP) {
        Far far{true, less(F{}, F{})};
        write(i, make(i, far));
    }
}
template <bool MAY_BE_FAR, int STEP, class Make, class Write>
INLINE void sweep(int64_t n, Make make, Write write) {
    for (int64_t i = 0; i < n; i += STEP) {
        Far far{false, less(F{}, F{})};
        const auto made = make(i, far);
        if constexpr (MAY_BE_FAR)
            if (__builtin_expect(any(far.seen), 0)) return mended<STEP>(i, n, make, write);
        write(i, made);
    }
}

}  // namespace SYMACT_ISA
