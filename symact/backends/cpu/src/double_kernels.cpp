// The kernels of one instruction set for float64: for each operation of programs a loop over a block.
#include <type_traits>

#include "double_functions.h"
#include "operations.h"

#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)

namespace SYMACT_ISA::in_double {

using symact::Step;
typedef symact::Frame<double> Frame;

// One operand of a step: a whole block, or one value in 16 copies.
struct Operand {
    const double* at;
    int64_t mask;
    Operand(const Frame& frame, int slot) : at(frame.at[slot]), mask(frame.mask[slot]) {}
    inline __attribute__((always_inline)) D operator[](int64_t i) const { return load(at + (i & mask)); }
};

template <auto f, class... Arguments>
constexpr bool HAS_FAR = std::is_invocable_v<decltype(f), Arguments..., Far&>;
template <auto f, class... Arguments>
INLINE D value(Far& far, Arguments... arguments) {
    if constexpr (HAS_FAR<f, Arguments...>)
        return f(arguments..., far);
    else
        return f(arguments...);
}

// A loop that calls scalar code keeps no constant in a register, so from the first vector on that needs some, another
// loop takes over.
template <auto f, class... Operands>
static __attribute__((noinline)) void mended(int64_t i, int64_t n, double* y, Operands... operands) {
    for (; i < n; i += WIDTH) {
        Far far{true, less(D{}, D{})};
        store(y + i, value<f>(far, operands[i]...));
    }
}
template <auto f, class... Operands>
INLINE void map(int64_t n, double* y, Operands... operands) {
    for (int64_t i = 0; i < n; i += WIDTH) {
        Far far{false, less(D{}, D{})};
        const D made = value<f>(far, operands[i]...);
        if (__builtin_expect(any(far.seen), 0)) return mended<f>(i, n, y, operands...);
        store(y + i, made);
    }
}

template <auto f>
static void unary(const Step& s, const Frame& t) {
    map<f>(t.n, t.at[s.y], Operand(t, s.a));
}
template <auto f>
static void binary(const Step& s, const Frame& t) {
    map<f>(t.n, t.at[s.y], Operand(t, s.a), Operand(t, s.b));
}
static D choose(D a, D b, D c) { return select(equal(a, D{}), c, b); }
static void where(const Step& s, const Frame& t) {
    map<choose>(t.n, t.at[s.y], Operand(t, s.a), Operand(t, s.b), Operand(t, s.c));
}

typedef float Narrow __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));

static void widen(double* to, const float* from, int64_t n) {
    for (int64_t i = 0; i < n; i += WIDTH)
        store(to + i, __builtin_convertvector(*reinterpret_cast<const Narrow*>(from + i), D));
}

}  // namespace SYMACT_ISA::in_double

namespace symact {

#define UNARY(name, function) SYMACT_ISA::in_double::unary<SYMACT_ISA::in_double::function>,
#define BINARY(name, function) SYMACT_ISA::in_double::binary<SYMACT_ISA::in_double::function>,
extern const DoubleTable JOIN(SYMACT_ISA, _double_kernels) = {
    {SYMACT_UNARY(UNARY) SYMACT_BINARY(BINARY) SYMACT_ISA::in_double::where,
     SYMACT_ISA::in_double::unary<SYMACT_ISA::in_double::copy>},
    SYMACT_ISA::in_double::widen,
};

}  // namespace symact
