// Is float32 enough? A program in float32 beside one in float64, at the same inputs.
#include "compare.h"

#include <cmath>
#include <vector>

namespace symact {
namespace {

// The largest number of float32 less a little: what is bounded stands for infinity.
constexpr float LARGE = 2.9e38f;

bool agrees(float wanted, float found, double x, const Comparison& job) {
    if (wanted == found) return true;
    // At a pole in 0 itself nothing is right or wrong.
    if (std::isinf(wanted)) return std::copysign(1.0f, wanted) * found > LARGE || x == 0.0;
    const double error = std::fabs(static_cast<double>(wanted) - static_cast<double>(found));
    return error <= job.absolute || error <= job.relative * std::fabs(static_cast<double>(wanted));
}

template <class T>
Outcome outputs(const Machine& machine, const Bytecode& code, const Comparison& job, std::vector<T>& values) {
    const auto size = static_cast<std::size_t>(job.size);
    std::vector<T> inputs;
    if constexpr (sizeof(T) == 4) {
        inputs.reserve(size * static_cast<std::size_t>(code.inputs));
        for (int s = 0; s < code.inputs; s++) inputs.insert(inputs.end(), job.inputs[s], job.inputs[s] + job.size);
    }
    values.resize(size * static_cast<std::size_t>(code.outputs));
    std::vector<View> from, to;
    for (int s = 0; s < code.inputs; s++) {
        const void* at = sizeof(T) == 4 ? static_cast<const void*>(inputs.data() + job.size * s) : job.inputs[s];
        from.push_back({const_cast<void*>(at), 0, 1});
    }
    for (int k = 0; k < code.outputs; k++) to.push_back({values.data() + job.size * k, 0, 1});
    const Job run_job{sizeof(T) == 4 ? FLOAT32 : FLOAT64, job.size, job.size, from.data(), code.inputs, code.inputs,
                      nullptr, 0, to.data(), code.outputs, nullptr, 1};
    return run(machine, code, run_job);
}

}  // namespace

Outcome compare(const Machine& machine, const Bytecode& narrow, const Bytecode& exact, const Comparison& job,
                uint8_t* marks) {
    std::vector<float> found;
    std::vector<double> wanted;
    if (outputs(machine, narrow, job, found) != DONE || outputs(machine, exact, job, wanted) != DONE) return NO_MEMORY;
    for (std::size_t place = 0; place < found.size(); place++) {
        const std::size_t i = place % static_cast<std::size_t>(job.size);
        if (std::isnan(wanted[place]))
            marks[i] |= UNDEFINED;
        else if (!agrees(static_cast<float>(wanted[place]), found[place], job.inputs[0][i], job))
            marks[i] |= DIFFERS;
        if (!std::isfinite(found[place])) marks[i] |= NOT_FINITE;
    }
    return DONE;
}

}  // namespace symact
