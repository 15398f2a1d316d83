// Runs bytecode over whole tensors.
#pragma once

#include <atomic>

#include "bytecode.h"

namespace symact {

// What became of a run; NEEDS_EXACT: float32 is not enough for some element, and `Mending::exact` is not there yet.
enum Outcome : int { NO_MEMORY, DONE, NEEDS_EXACT };

enum Type : int { FLOAT32, FLOAT64, BFLOAT16, FLOAT16 };

// A parameter of `channels` values lies along a tensor as (i / inner) % channels; one value has channels 1.
struct Parameter {
    const void* values;
    int64_t channels, inner;
};

// Where float32 is not enough, the same function in float64: for |x| < low or > high, and at 0 unless that is good.
// It is made when an element needs it, which most programs never meet.
struct Mending {
    std::atomic<const Bytecode*> exact{nullptr};
    bool wanted = false;
    float low = 0.0f, high = 0.0f;
    bool zero = false;
};

struct Job {
    Type type;
    int64_t size;
    const void *x, *grad;              // grad: null in a forward program
    const Parameter* parameters;       // inputs between x and grad, of float64 or else float32
    void* y;                           // first output, of the type of x
    double* const* parameter_grads;    // further outputs, summed; null where nobody asks
    int threads;
    const Mending* mending = nullptr;  // for programs of float32
    // Where these are given, every input and every output is a tensor, and x, grad, parameters and y are left out.
    const void* const* tensors = nullptr;
    void* const* results = nullptr;
};

Outcome run(const Machine& machine, const Bytecode& code, const Job& job);

}  // namespace symact
