// Runs bytecode over whole tensors.
#pragma once

#include <atomic>
#include <vector>

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

// For which |x| of a variable float32 is enough: from `low` to `high`, and at 0 where that is said.
struct Window {
    float low = 0.0f, high = 0.0f;
    bool zero = false;
};

// Where a variable is outside its window, the same function in float64. It is made when an element needs it, which
// most programs never meet.
struct Mending {
    std::atomic<const Bytecode*> exact{nullptr};
    std::vector<Window> windows;  // one a variable; none where float32 is always enough
};

// Where the elements of a tensor are: element i of a job lies `i / inner * row + i % inner * step` elements behind `at`.
struct View {
    void* at;
    int64_t row, step;
};

// The inputs of a program are variables, parameters, then gradients that come in; its outputs are tensors, then one for
// each parameter that is summed.
struct Job {
    Type type;
    int64_t size, inner;         // elements, and how many of them make a row
    const View* tensors;         // inputs that are no parameters
    int tensor_count, variables;
    const Parameter* parameters;  // of float64, or else float32
    int parameter_count;
    const View* results;
    int result_count;
    double* const* sums;         // of the further outputs; null where nobody asks
    int threads;
    const Mending* mending = nullptr;  // for programs of float32
};

Outcome run(const Machine& machine, const Bytecode& code, const Job& job);

}  // namespace symact
