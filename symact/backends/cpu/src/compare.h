// Is float32 enough? A program in float32 beside one in float64, at the same inputs.
#pragma once

#include "run.h"

namespace symact {

// What is found at an input; more than one may hold.
enum Mark : uint8_t {
    DIFFERS = 1,     // float64 has a value, and float32 another
    UNDEFINED = 2,   // float64 has none
    NOT_FINITE = 4,  // float32 has no finite one
};

struct Comparison {
    const double* const* inputs;  // one array an input of the programs, the first is x
    int64_t size;
    double relative, absolute;  // the larger of both may be missing
};

// Adds to `marks` what is found of any output, of `narrow` against `exact`, which have the same inputs and outputs.
Outcome compare(const Machine& machine, const Bytecode& narrow, const Bytecode& exact, const Comparison& job,
                uint8_t* marks);

}  // namespace symact
