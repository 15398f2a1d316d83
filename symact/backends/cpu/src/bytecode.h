// A Program as the interpreter runs it: steps over numbered slots. The slots are the inputs, the outputs,
// the constants, and temporary blocks that are used again as soon as their value is dead.
#pragma once

#include <cstdint>
#include <vector>

#include "operations.h"

namespace symact {

struct Bytecode {
    int inputs = 0, outputs = 0, temporaries = 0;
    std::vector<double> constants;
    std::vector<Step> steps;
    int slots() const { return inputs + outputs + static_cast<int>(constants.size()) + temporaries; }
};

// One operation of a Program: `op` is OP_const (of `value`) or an operation of program.py.
struct Source {
    int op;
    int arguments[3];
    double value;
};

// `fused`: replace common pairs by operations that program.py does not have; the float64 path does not.
Bytecode compile(int inputs, const std::vector<Source>& sources, const std::vector<int>& outputs, bool fused);

}  // namespace symact
