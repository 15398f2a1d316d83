// Functions of 16-bit numbers by table: there are 65,536 of them, fewer than a large tensor has elements.
#pragma once

#include "run.h"

namespace symact {

// `table` holds, by the bits of x, the values of 16 bits themselves; or, where there is a gradient, slopes of
// float32, whose products with it are rounded once, as a program rounds them.
struct Lookup {
    Type type;
    int64_t size;
    const uint16_t *x, *grad;
    uint16_t* y;
    const void* table;
    int threads;
};

// Fills a table of `type`: the values of a program of x alone, or the slopes of a backward program, whose second
// input is the gradient. False where memory is short.
bool tabulate(const Machine& machine, const Bytecode& code, Type type, void* table);

void look_up(const Machine& machine, const Lookup& job);

// Whether the output is a product of `grad`, which is nowhere else, and of what depends on x alone.
bool is_slope_times_grad(const Bytecode& code);

}  // namespace symact
