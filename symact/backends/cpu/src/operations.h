// The operations of the interpreter: the instruction set of program.py, then what the compiler of bytecode
// makes of common pairs. One list per shape; the tables of kernels and of names are made from the lists.
#pragma once

#include <cstdint>

// X(name in program.py, function)
#define SYMACT_UNARY(X)                                                                                      \
    X(neg, negate) X(abs, absolute) X(sign, sign) X(floor, whole) X(sqrt, root) X(exp, exp_) X(expm1, expm1_) \
    X(log, log_) X(log1p, log1p_) X(sin, sin_) X(cos, cos_) X(tan, tan_) X(sinh, sinh_) X(cosh, cosh_)        \
    X(tanh, tanh_) X(asinh, asinh_) X(atan, atan_) X(sigmoid, sigmoid) X(logsigmoid, logsigmoid)              \
    X(softplus, softplus) X(erf, erf_) X(erfc, erfc_) X(erfcx, erfcx) X(ndtr, ndtr) X(log_ndtr, log_ndtr)     \
    X(logcosh, logcosh) X(i0e, i0e) X(i1e, i1e) X(sinc, sinc) X(sinc_grad, sinc_grad)                         \
    X(erfcx_grad, erfcx_grad)                                                                                 \
    X(i1e_ratio, i1e_ratio) X(i0e_minus_i1e, i0e_minus_i1e) X(hypot1, hypot1)
#define SYMACT_BINARY(X)                                                                     \
    X(add, add) X(sub, subtract) X(mul, multiply) X(div, divide) X(max, maximum) X(min, minimum) \
    X(lt, is_less) X(le, is_less_equal) X(eq, is_equal) X(pow, power)                             \
    X(product_rest, product_rest) X(sum_rest, sum_rest) X(sin_sum, sin_sum) X(cos_sum, cos_sum)

// Below: not in program.py. X(name, function)
#define SYMACT_UNARY_MORE(X)                                                                                     \
    X(copy, copy) X(gauss, gauss) X(gauss_half, gauss_half) X(tanh_softplus, tanh_softplus)                      \
    X(tanh_softplus_slope, tanh_softplus_slope) X(sigmoid_minus, sigmoid_minus) X(sigmoid_slope, sigmoid_slope)  \
    X(ndtr_slope, ndtr_slope) X(sech_squared, sech_squared) X(silu, silu) X(silu_slope, silu_slope)              \
    X(mish, mish) X(mish_slope, mish_slope) X(gelu, gelu) X(gelu_slope, gelu_slope) X(elu, elu)                  \
    X(elu_slope, elu_slope) X(i0e_fall, i0e_fall) X(sech_squared_slope, sech_squared_slope)
// y = f(a)*b, for functions that often are a factor.
#define SYMACT_TIMES(X)                                                                                       \
    X(exp, exp_) X(erfc, erfc_) X(ndtr, ndtr) X(tanh, tanh_) X(cosh, cosh_) X(cos, cos_) X(sigmoid, sigmoid)  \
    X(gauss, gauss) X(tanh_softplus_slope, tanh_softplus_slope) X(sigmoid_minus, sigmoid_minus)               \
    X(sigmoid_slope, sigmoid_slope) X(ndtr_slope, ndtr_slope) X(sech_squared, sech_squared)                   \
    X(silu_slope, silu_slope) X(mish_slope, mish_slope) X(gelu_slope, gelu_slope) X(elu_slope, elu_slope)     \
    X(i0e_fall, i0e_fall) X(silu, silu) X(gelu, gelu) X(mish, mish)
// y = f(a, b), and y = f(a, b)*c*d: functions of an angle that is a product, or of one in two words.
#define SYMACT_ANGLES(X)                                                                        \
    X(sin_product, of_product<sin_sum>) X(cos_product, of_product<cos_sum>)                      \
    X(sinc_product, of_product<sinc_sum>) X(sinc_grad_product, of_product<sinc_grad_sum>)        \
    X(sinc_sum, sinc_sum) X(sinc_grad_sum, sinc_grad_sum) X(finer, finer) X(finer_slope, finer_slope)
// y, z = f(a, b): the sine and the cosine of an angle in two words; sums and products in two words.
#define SYMACT_IN_TWO(X) X(sin_sum_pair, sin_sum_pair) X(sum_pair, sum_pair) X(product_pair, product_pair)
// y = f(a, b, c): functions of the angle a*(b + c), of which b + c is a number in two words.
#define SYMACT_SCALED(X) X(sin_scaled, of_scaled<sin_sum>) X(cos_scaled, of_scaled<cos_sum>)
// Two functions of one argument that share most of their work: X(first, second, function).
#define SYMACT_PAIRS(X)                                                                                        \
    X(silu, silu_slope, silu_pair) X(elu, elu_slope, elu_pair) X(mish, mish_slope, mish_pair)                  \
    X(gelu, gelu_slope, gelu_pair) X(tanh_softplus, tanh_softplus_slope, tanh_softplus_pair)                   \
    X(sigmoid, sigmoid_minus, sigmoid_pair) X(sigmoid, sigmoid_slope, sigmoid_slope_pair)                      \
    X(softplus, sigmoid, softplus_pair) X(logsigmoid, sigmoid_minus, logsigmoid_pair) X(erfc, gauss, erfc_pair) \
    X(erf, gauss, erf_pair) X(ndtr, gauss_half, ndtr_half_pair) X(ndtr, ndtr_slope, ndtr_pair)                 \
    X(expm1, exp, expm1_pair) X(sinh, cosh, sinh_pair) X(tanh, sech_squared, tanh_pair) X(sin, cos, sin_pair)  \
    X(i0e, i0e_fall, i0e_pair) X(sigmoid, silu_slope, swish_pair)                                              \
    X(sech_squared, sech_squared_slope, sech_squared_pair)
// What a clipped input of a gate goes through: those of them whose first function `alone` in gates.h computes as it is
// computed without the second, to the bit; `identity` is for a clip alone.
#define SYMACT_CLIPPED(X)                                                                                    \
    X(silu, silu_slope, silu_pair) X(elu, elu_slope, elu_pair) X(mish, mish_slope, mish_pair)                \
    X(gelu, gelu_slope, gelu_pair) X(sigmoid, sigmoid_slope, sigmoid_slope_pair) X(softplus, sigmoid, softplus_pair) \
    X(logsigmoid, sigmoid_minus, logsigmoid_pair) X(ndtr, ndtr_slope, ndtr_pair) X(tanh, sech_squared, tanh_pair)
#define SYMACT_GATES(X) SYMACT_CLIPPED(X) X(identity, one, identity_pair)
// y = a OP b ? c : d
#define SYMACT_CHOICE(X) X(where_lt, less) X(where_le, less_equal) X(where_eq, equal)

namespace symact {

enum Operation : int16_t {
#define X(name, function) OP_##name,
    SYMACT_UNARY(X) SYMACT_BINARY(X) OP_where,
    SYMACT_UNARY_MORE(X)
#undef X
#define X(name, function) OP_times_##name,
    SYMACT_TIMES(X)
#undef X
#define X(name, function) OP_##name,
    SYMACT_CHOICE(X)
#undef X
    OP_clip,          // min(max(a, b), c), NaN kept
    OP_where_inside,        // b < a < c ? d : 0
    OP_where_inside_times,  // b < a < c ? d*e : 0
    OP_clip_line,     // a*b + c, clipped to [d, e]
    OP_clip_line_pair,  // the same, and a*b + c
#define X(name, function) OP_##name,
    SYMACT_ANGLES(X) SYMACT_IN_TWO(X) SYMACT_SCALED(X)
#undef X
    OP_scaled_pair,  // a*(b + c) in two words
#define X(name, function) OP_times_##name,
    SYMACT_ANGLES(X)
#undef X
#define X(first, second, function) OP_##function,
    SYMACT_PAIRS(X)
#undef X
    // Both gradients of a gate: y = f(a)*b and z = f'(a)*(c*d), of a pair of functions.
#define X(first, second, function) OP_gate_##function,
    SYMACT_PAIRS(X)
#undef X
    // Gates of clipped inputs; see `fuse_gates.cpp` for the order of the constants. The value,
    // y = f(clip(a))*clip(b + shift), and its gradients times c, each 0 where its input is not inside the clip:
    // y = f(clip(a))*c and z = f'(clip(a))*(clip(b + shift)*c), of a pair of functions.
#define X(first, second, function) OP_clip_times_##function,
    SYMACT_GATES(X)
#undef X
#define X(first, second, function) OP_clip_gate_##function,
    SYMACT_GATES(X)
#undef X
    // Fused arithmetic: each of the bases is followed by its combinations, see `kernels.cpp`.
    OP_chain2,
    OP_tree = OP_chain2 + 3 * 4,
    OP_chain3 = OP_tree + 3 * 3 * 3,
    OP_count = OP_chain3 + 3 * 4 * 4,
    OP_const = OP_count,
    OP_input,
    OP_second,
};
// Of these alone are there kernels for float64, and of `copy`, which is the next.
constexpr int OP_public = OP_where + 1;

// One step of a compiled program: y = op(a, b, c, d, e, ...), all numbers of slots; a pair gives z too.
struct Step {
    int16_t op, y, a, b, c, d, e, z;
    int16_t more[7] = {};
};

// Where the slots are while a block of n values is worked on; n is a multiple of 16. Slots that hold one
// value for the whole block have mask 0 and 16 copies of it, others have mask -1.
template <class T>
struct Frame {
    T* const* at;
    const int64_t* mask;
    int64_t n;
};
template <class T>
using Kernel = void (*)(const Step&, const Frame<T>&);

struct KernelTable {
    Kernel<float> at[OP_count];
};
struct DoubleTable {
    Kernel<double> at[OP_public + 1];
    // Of n numbers, a multiple of 16.
    void (*widen)(double* to, const float* from, int64_t n);
};

// How many of the operands of a step that exists in bfloat16 are elements, the first ones; others are constants.
constexpr int tensors_of(int op) {
    return op >= OP_clip_gate_silu_pair ? 3 : op >= OP_gate_silu_pair && op < OP_clip_times_silu_pair ? 4 : 2;
}

// What one instruction set offers.
struct Machine {
    const char* name;
    Kernel<float> kernels[OP_count];
    // The same for inputs and outputs in bfloat16; null where there is none.
    const KernelTable* bfloat16;
    const DoubleTable* doubles;
    void (*read_bfloat16)(float* to, const uint16_t* from, int64_t n);
    void (*write_bfloat16)(uint16_t* to, const float* from, int64_t n);
    void (*read_float16)(float* to, const uint16_t* from, int64_t n);
    void (*write_float16)(uint16_t* to, const float* from, int64_t n);
    double (*sum)(const float* from, int64_t n);
    // Whether any |x| is below `low` or above `high`; 0 counts as below only if not `zero`.
    bool (*outside)(const float* x, int64_t n, float low, float high, bool zero);
    // The same one by one: sets all bits of the marks of those that are.
    void (*mark)(const float* x, int64_t n, float low, float high, bool zero, int32_t* marks);
    // Of numbers that are marked, takes those of float64.
    void (*replace)(float* to, const double* from, int64_t n, const int32_t* marks);
    void (*accumulate)(double* to, const float* from, int64_t n);
};

extern const Machine portable_machine;
#if defined(__x86_64__)
extern const Machine avx2_machine, avx512_machine;
#endif

}  // namespace symact
