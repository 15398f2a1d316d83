// The loops of gates, which read each input once, for blocks of float32 or of bfloat16: E is the type of an element.
#pragma once

#include "elements.h"
#include "special.h"

namespace SYMACT_ISA {

// For clips that no function follows.
INLINE Two identity_pair(F x) { return {x, splat(1.0f)}; }

// y = f(inputs) for each element.
template <class E, class Function, class... Inputs>
INLINE void map(int64_t n, Function f, E* y, const Inputs&... inputs) {
    for (int64_t i = 0; i < n; i += STEP<E>) one(f, y + i, inputs.elements(i)...);
}
template <class E, class Function, class... Read>
INLINE void one(Function f, E* y, const Read&... read) {
    Elements<E> made;
#pragma GCC unroll 2
    for (int k = 0; k < Elements<E>::VECTORS; k++) made.at[k] = f(read.at[k]...);
    made.write(y);
}
// y, z = f(inputs)
template <class E, class Function, class... Inputs>
INLINE void map_pair(int64_t n, Function f, E* y, E* z, const Inputs&... inputs) {
    for (int64_t i = 0; i < n; i += STEP<E>) one_pair(f, y + i, z + i, inputs.elements(i)...);
}
template <class E, class Function, class... Read>
INLINE void one_pair(Function f, E* y, E* z, const Read&... read) {
    Elements<E> first, second;
#pragma GCC unroll 2
    for (int k = 0; k < Elements<E>::VECTORS; k++) {
        const Two two = f(read.at[k]...);
        first.at[k] = two.first, second.at[k] = two.second;
    }
    first.write(y);
    second.write(z);
}

template <class E>
void product(const Step& s, const Frame& t) {
    map(t.n, [](F a, F b) __attribute__((always_inline)) { return a * b; }, result<E>(t, s.y), Operand<E>(t, s.a), Operand<E>(t, s.b));
}

// f(a)*b
template <class E, F (*f)(F)>
void times(const Step& s, const Frame& t) {
    map(t.n, [](F a, F b) __attribute__((always_inline)) { return f(a) * b; }, result<E>(t, s.y), Operand<E>(t, s.a), Operand<E>(t, s.b));
}

// Of a pair of functions, f(a)*b and f'(a)*(c*d).
template <class E, Two (*f)(F)>
void gate(const Step& s, const Frame& t) {
    const auto gradients = [](F a, F b, F c, F d) __attribute__((always_inline)) {
        const Two two = f(a);
        return Two{two.first * b, two.second * (c * d)};
    };
    map_pair(t.n, gradients, result<E>(t, s.y), result<E>(t, s.z), Operand<E>(t, s.a), Operand<E>(t, s.b),
             Operand<E>(t, s.c), Operand<E>(t, s.d));
}

// The bounds of a clip; both are constants.
struct Bounds {
    F low, high;
    Bounds(const Frame& t, int low, int high) : low(load(t.at[low])), high(load(t.at[high])) {}
    INLINE_MEMBER F clip(F v) const { return below(high, above(low, v)); }
};

// Where a gradient passes: from `low` to `high`, and NaN where there are no bounds.
struct Alive : Bounds {
    M always;
    Alive(const Frame& t, int low, int high)
        : Bounds(t, low, high), always(equal(this->low, splat(-INFINITE)) & equal(this->high, splat(INFINITE))) {}
    INLINE_MEMBER M operator()(F v) const { return (less_equal(low, v) & less_equal(v, high)) | always; }
};

// f(clip(a))*clip(b + shift)
template <class E, Two (*f)(F)>
void clip_times(const Step& s, const Frame& t) {
    const Bounds own(t, s.c, s.d), other(t, s.more[0], s.more[1]);
    const F shift = load(t.at[s.e]);
    const auto value = [=](F a, F b) __attribute__((always_inline)) { return f(own.clip(a)).first * other.clip(b + shift); };
    map(t.n, value, result<E>(t, s.y), Operand<E>(t, s.a), Operand<E>(t, s.b));
}

// Its gradients in b and a, times c: each is 0 where its input is clipped.
template <class E, Two (*f)(F)>
void clip_gate(const Step& s, const Frame& t) {
    const Bounds own(t, s.d, s.e), other(t, s.more[1], s.more[2]);
    const Alive alive(t, s.more[3], s.more[4]), other_alive(t, s.more[5], s.more[6]);
    const F shift = load(t.at[s.more[0]]);
    const auto gradients = [=](F a, F b, F c) __attribute__((always_inline)) {
        const Two two = f(own.clip(a));
        const F first = two.first * c, second = two.second * (other.clip(b + shift) * c);
        return Two{select(other_alive(b), first, F{}), select(alive(a), second, F{})};
    };
    map_pair(t.n, gradients, result<E>(t, s.y), result<E>(t, s.z), Operand<E>(t, s.a), Operand<E>(t, s.b),
             Operand<E>(t, s.c));
}

}  // namespace SYMACT_ISA
