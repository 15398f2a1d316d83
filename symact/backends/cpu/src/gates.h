// The loops of gates, which read each input once, for blocks of float32 or of bfloat16: E is the type of an element.
#pragma once

#include "elements.h"
#include "special.h"

namespace SYMACT_ISA {

// For clips that no function follows.
INLINE Two identity_pair(F x) { return {x, splat(1.0f)}; }

template <class E, class Function, class... Read>
INLINE Elements<E> one(Function f, Far& far, const Read&... read) {
    Elements<E> made;
#pragma GCC unroll 2
    for (int k = 0; k < Elements<E>::VECTORS; k++) made.at[k] = f(far, read.at[k]...);
    return made;
}

// y = f(far, inputs) for each element.
template <bool MAY_BE_FAR = false, class E, class Function, class... Inputs>
INLINE void map(int64_t n, Function f, E* y, const Inputs&... inputs) {
    sweep<MAY_BE_FAR, STEP<E>>(
        n, [=](int64_t i, Far& far) __attribute__((always_inline)) { return one<E>(f, far, inputs.elements(i)...); },
        [=](int64_t i, const Elements<E>& made) __attribute__((always_inline)) { made.write(y + i); });
}

// y, z = f(far, inputs)
template <class E>
struct Both {
    Elements<E> first, second;
};
template <class E, class Function, class... Read>
INLINE Both<E> one_pair(Function f, Far& far, const Read&... read) {
    Both<E> made;
#pragma GCC unroll 2
    for (int k = 0; k < Elements<E>::VECTORS; k++) {
        const Two two = f(far, read.at[k]...);
        made.first.at[k] = two.first, made.second.at[k] = two.second;
    }
    return made;
}
template <bool MAY_BE_FAR = false, class E, class Function, class... Inputs>
INLINE void map_pair(int64_t n, Function f, E* y, E* z, const Inputs&... inputs) {
    sweep<MAY_BE_FAR, STEP<E>>(
        n, [=](int64_t i, Far& far) __attribute__((always_inline)) { return one_pair<E>(f, far, inputs.elements(i)...); },
        [=](int64_t i, const Both<E>& made) __attribute__((always_inline)) {
            made.first.write(y + i);
            made.second.write(z + i);
        });
}

template <class E>
void product(const Step& s, const Frame& t) {
    const auto times = [](Far&, F a, F b) __attribute__((always_inline)) { return a * b; };
    map(t.n, times, result<E>(t, s.y), Operand<E>(t, s.a), Operand<E>(t, s.b));
}

// f(a)*b
template <class E, auto f>
void times(const Step& s, const Frame& t) {
    const auto made = [](Far& far, F a, F b) __attribute__((always_inline)) { return value<f>(far, a) * b; };
    map<HAS_FAR<f, F>>(t.n, made, result<E>(t, s.y), Operand<E>(t, s.a), Operand<E>(t, s.b));
}

// Of a pair of functions, f(a)*b and f'(a)*(c*d).
template <class E, auto f>
void gate(const Step& s, const Frame& t) {
    const auto gradients = [](Far& far, F a, F b, F c, F d) __attribute__((always_inline)) {
        const Two two = value<f>(far, a);
        return Two{two.first * b, two.second * (c * d)};
    };
    map_pair<HAS_FAR<f, F>>(t.n, gradients, result<E>(t, s.y), result<E>(t, s.z), Operand<E>(t, s.a),
                            Operand<E>(t, s.b), Operand<E>(t, s.c), Operand<E>(t, s.d));
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

// The first of a pair as it is computed alone: a quotient is then rounded once.
template <Two (*f)(F)>
INLINE F alone(F a) {
    if constexpr (f == silu_pair)
        return silu(a);
    else if constexpr (f == sigmoid_slope_pair)
        return sigmoid(a);
    else
        return f(a).first;
}

// f(clip(a))*clip(b + shift)
template <class E, Two (*f)(F)>
void clip_times(const Step& s, const Frame& t) {
    const Bounds own(t, s.c, s.d), other(t, s.more[0], s.more[1]);
    const F shift = load(t.at[s.e]);
    const auto made = [=](Far&, F a, F b) __attribute__((always_inline)) { return alone<f>(own.clip(a)) * other.clip(b + shift); };
    map(t.n, made, result<E>(t, s.y), Operand<E>(t, s.a), Operand<E>(t, s.b));
}

// Its gradients in b and a, times c: each is 0 where its input is clipped.
template <class E, Two (*f)(F)>
void clip_gate(const Step& s, const Frame& t) {
    const Bounds own(t, s.d, s.e), other(t, s.more[1], s.more[2]);
    const Alive alive(t, s.more[3], s.more[4]), other_alive(t, s.more[5], s.more[6]);
    const F shift = load(t.at[s.more[0]]);
    const auto gradients = [=](Far&, F a, F b, F c) __attribute__((always_inline)) {
        const Two two = f(own.clip(a));
        const F first = two.first * c, second = two.second * (other.clip(b + shift) * c);
        return Two{select(other_alive(b), first, F{}), select(alive(a), second, F{})};
    };
    map_pair(t.n, gradients, result<E>(t, s.y), result<E>(t, s.z), Operand<E>(t, s.a), Operand<E>(t, s.b),
             Operand<E>(t, s.c));
}

}  // namespace SYMACT_ISA
