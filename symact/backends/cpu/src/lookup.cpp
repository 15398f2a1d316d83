// Values and gradients by table. A table is filled by the program itself, so what is looked up is what it computes.
#include "lookup.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "threads.h"

namespace symact {
namespace {

// A multiple of 16; two blocks of float32 stay in the first-level cache beside what is used of a table.
constexpr int64_t PIECE = 512;
constexpr int64_t EVERY = 65536;

// Four at a time, since stores of 16 bits are as many as stores of 64.
void values(uint16_t* y, const uint16_t* x, const uint16_t* table, int64_t n) {
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        uint64_t four, found;
        std::memcpy(&four, x + i, 8);
        found = table[four & 0xffff] | static_cast<uint64_t>(table[four >> 16 & 0xffff]) << 16 |
                static_cast<uint64_t>(table[four >> 32 & 0xffff]) << 32 | static_cast<uint64_t>(table[four >> 48]) << 48;
        std::memcpy(y + i, &found, 8);
    }
    for (; i < n; i++) y[i] = table[x[i]];
}

void slopes_of(float* y, const uint16_t* x, const float* table, int64_t n) {
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        uint64_t four;
        std::memcpy(&four, x + i, 8);
        y[i] = table[four & 0xffff];
        y[i + 1] = table[four >> 16 & 0xffff];
        y[i + 2] = table[four >> 32 & 0xffff];
        y[i + 3] = table[four >> 48];
    }
    for (; i < n; i++) y[i] = table[x[i]];
}

void products(const Machine& machine, const Lookup& job, int64_t begin, int64_t end) {
    alignas(64) float slopes[PIECE], grads[PIECE];
    alignas(64) uint16_t last[PIECE];
    float* const at[] = {slopes, grads};
    const int64_t mask[] = {-1, -1};
    const Step product{OP_mul, 0, 0, 1, 0, 0, 0, 0};
    const float* table = static_cast<const float*>(job.table);
    auto read = job.type == BFLOAT16 ? machine.read_bfloat16 : machine.read_float16;
    auto write = job.type == BFLOAT16 ? machine.write_bfloat16 : machine.write_float16;
    for (int64_t start = begin; start < end; start += PIECE) {
        const int64_t n = std::min(PIECE, end - start);
        const uint16_t *x = job.x + start, *grad = job.grad + start;
        if (n < PIECE) {
            std::fill(std::copy_n(grad, n, last), last + PIECE, uint16_t{0});
            grad = last;
            std::fill_n(slopes, PIECE, 0.0f);
        }
        read(grads, grad, PIECE);
        slopes_of(slopes, x, table, n);
        machine.kernels[OP_mul](product, {at, mask, PIECE});
        write(n < PIECE ? last : job.y + start, slopes, PIECE);
        if (n < PIECE) std::copy_n(last, n, job.y + start);
    }
}

}  // namespace

bool tabulate(const Machine& machine, const Bytecode& code, Type type, void* table) {
    std::vector<uint16_t> every(EVERY);
    std::iota(every.begin(), every.end(), uint16_t{0});
    const View result{table, 0, 1};
    if (code.inputs == 1) {
        const View all{every.data(), 0, 1};
        return run(machine, code, {type, EVERY, EVERY, &all, 1, 1, nullptr, 0, &result, 1, nullptr, 1}) == DONE;
    }
    // A slope is a product with 1, which nothing rounds.
    std::vector<float> x(EVERY), ones(EVERY, 1.0f);
    (type == BFLOAT16 ? machine.read_bfloat16 : machine.read_float16)(x.data(), every.data(), EVERY);
    const View both[] = {{x.data(), 0, 1}, {ones.data(), 0, 1}};
    return run(machine, code, {FLOAT32, EVERY, EVERY, both, 2, 1, nullptr, 0, &result, 1, nullptr, 1}) == DONE;
}

void look_up(const Machine& machine, const Lookup& job) {
    const int64_t pieces = (job.size + PIECE - 1) / PIECE;
    const int parts = static_cast<int>(std::clamp<int64_t>(job.threads, 1, std::max<int64_t>(pieces, 1)));
    auto part = [&](int number) {
        const int64_t begin = pieces * number / parts * PIECE;
        const int64_t end = std::min(pieces * (number + 1) / parts * PIECE, job.size);
        if (job.grad)
            products(machine, job, begin, end);
        else
            values(job.y + begin, job.x + begin, static_cast<const uint16_t*>(job.table), end - begin);
    };
    if (parts == 1 || !Pool::run(parts, part))
        for (int number = 0; number < parts; number++) part(number);
}

bool is_slope_times_grad(const Bytecode& code) {
    if (code.inputs != 2 || code.outputs != 1 || code.steps.empty()) return false;
    const int16_t grad = 1;
    const Step& last = code.steps.back();
    int uses = 0;
    // An operand that a step does not have is 0.
    for (const Step& step : code.steps)
        for (int16_t slot : {step.a, step.b, step.c, step.d, step.e}) uses += slot == grad;
    if (last.op >= OP_times_sin_product && last.op <= OP_times_finer_slope) return uses == 1 && last.d == grad;
    const bool times = last.op >= OP_times_exp && last.op < OP_where_lt;
    return uses == 1 && ((times && last.b == grad) || (last.op == OP_mul && (last.a == grad || last.b == grad)));
}

}  // namespace symact
