// Loss and gradient of a chain of linear layers and activations in one call, single-threaded.
//
// A small network spends most of a training step on calls, so the whole step is one: products by register tiles,
// activations by the block interpreter, cross-entropy. Compiled once per instruction set, as kernels.cpp is.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <vector>

extern "C" int symact_run(void*, int, int64_t, int, const void*, const void*, void*, const int64_t*, double* const*);

namespace {

#if defined(__AVX512F__)
constexpr int LANES = 16, ROWS = 8;
#elif defined(__AVX2__)
constexpr int LANES = 8, ROWS = 6;
#else
constexpr int LANES = 4, ROWS = 6;
#endif
typedef float Vector __attribute__((vector_size(4 * LANES)));
constexpr int WIDTH = 2 * LANES;

enum { FLOAT32 = 0, FLOAT64 = 1 };

// One module of the chain, as mlp_step_native.py lays it out; a linear layer has a weight, an activation has none.
struct Link {
    int64_t inputs, outputs;
    const float *weight, *bias;
    float *weight_grad, *bias_grad;
    // Handles of the activation in single precision and, beyond `limit`, in double.
    void *forward, *backward, *wide_forward, *wide_backward;
    double limit;
    // Per parameter: the address of its values, their number, and 1; and where its gradient goes (0: nowhere).
    int64_t parameters;
    const int64_t *table, *places;
};

inline Vector load(const float* from) {
    Vector v;
    std::memcpy(&v, from, sizeof v);
    return v;
}

inline void store(float* to, Vector v) { std::memcpy(to, &v, sizeof v); }

int64_t padded(int64_t n) { return (n + WIDTH - 1) / WIDTH * WIDTH; }

// ROWS_ rows of `a` times a panel of WIDTH columns of `b`, (inner, stride).
template <int ROWS_>
inline void tile(const float* a, int64_t step, int64_t next, const float* b, int64_t stride, int64_t inner,
                 Vector (&sum)[ROWS_][2]) {
    for (int r = 0; r < ROWS_; r++) sum[r][0] = sum[r][1] = Vector{};
    for (int64_t k = 0; k < inner; k++) {
        const Vector left = load(b + k * stride), right = load(b + k * stride + LANES);
#pragma GCC unroll 8
        for (int r = 0; r < ROWS_; r++) {
            const float value = a[r * next + k * step];
            sum[r][0] += value * left;
            sum[r][1] += value * right;
        }
    }
}

template <int ROWS_>
inline void tile_rows(const float* a, int64_t inner, const float* b, int64_t stride, const float* bias, float* c,
                      int64_t columns, int64_t wanted) {
    Vector sum[ROWS_][2];
    tile<ROWS_>(a, 1, inner, b, stride, inner, sum);
    for (int r = 0; r < ROWS_; r++) {
        float row[WIDTH];
        if (bias) {
            sum[r][0] += load(bias);
            sum[r][1] += load(bias + LANES);
        }
        if (wanted == WIDTH) {
            store(c + r * columns, sum[r][0]);
            store(c + r * columns + LANES, sum[r][1]);
        } else {
            store(row, sum[r][0]);
            store(row + LANES, sum[r][1]);
            std::memcpy(c + r * columns, row, 4 * wanted);
        }
    }
}

// c (rows, columns) = a (rows, inner) b (inner, padded columns) + bias (padded columns, or null).
void product(const float* a, const float* b, const float* bias, float* c, int64_t rows, int64_t inner,
             int64_t columns) {
    const int64_t stride = padded(columns);
    for (int64_t j = 0; j < columns; j += WIDTH) {
        const int64_t wanted = columns - j < WIDTH ? columns - j : WIDTH;
        const float* offset = bias ? bias + j : nullptr;
        int64_t i = 0;
        for (; i + ROWS <= rows; i += ROWS)
            tile_rows<ROWS>(a + i * inner, inner, b + j, stride, offset, c + i * columns + j, columns, wanted);
        for (; i < rows; i++)
            tile_rows<1>(a + i * inner, inner, b + j, stride, offset, c + i * columns + j, columns, wanted);
    }
}

template <int ROWS_>
inline void tile_columns(const float* a, int64_t m, const float* b, int64_t n, int64_t inner, float* c) {
    Vector sum[ROWS_][2];
    tile<ROWS_>(a, m, 1, b, n, inner, sum);
    for (int r = 0; r < ROWS_; r++) {
        store(c + r * n, sum[r][0]);
        store(c + r * n + LANES, sum[r][1]);
    }
}

// c (m, n) = a^T b for a (inner, m) and b (inner, n).
void product_of_columns(const float* a, const float* b, float* c, int64_t inner, int64_t m, int64_t n) {
    if (n < WIDTH) {
        for (int64_t i = 0; i < m * n; i++) c[i] = 0;
        for (int64_t k = 0; k < inner; k++)
            for (int64_t i = 0; i < m; i++)
                for (int64_t j = 0; j < n; j++) c[i * n + j] += a[k * m + i] * b[k * n + j];
        return;
    }
    for (int64_t start = 0; start < n; start += WIDTH) {
        // The last panel overlaps the one before, which gives the same numbers twice.
        const int64_t j = start + WIDTH <= n ? start : n - WIDTH;
        int64_t i = 0;
        for (; i + ROWS <= m; i += ROWS) tile_columns<ROWS>(a + i, m, b + j, n, inner, c + i * n + j);
        for (; i < m; i++) tile_columns<1>(a + i, m, b + j, n, inner, c + i * n + j);
    }
}

// Whether single precision is not enough for the numbers of an activation's input; NaN decides nothing.
bool exceeds(const float* x, int64_t size, double limit) {
    if (limit == std::numeric_limits<double>::infinity()) return false;
    float high = -std::numeric_limits<float>::infinity(), low = -high;
    int strange = 0;
    for (int64_t i = 0; i < size; i++) {
        high = x[i] > high ? x[i] : high;
        low = x[i] < low ? x[i] : low;
        strange |= x[i] != x[i];
    }
    return !strange && (high > limit || low < -limit);
}

// Scratch memory of one thread, kept between calls.
struct Scratch {
    std::vector<float> packed, bias, values, grads[2];
    std::vector<double> x, grad, y, parameters, sums;
    std::vector<int64_t> offsets, table;
    std::vector<double*> places;
    std::vector<char> wide;
};

void grow(std::vector<float>& v, int64_t size) {
    if (static_cast<int64_t>(v.size()) < size) v.resize(size);
}

void linear_forward(Scratch& s, const Link& link, const float* x, float* y, int64_t rows) {
    const int64_t stride = padded(link.outputs);
    s.packed.assign(link.inputs * stride, 0.0f);
    for (int64_t o = 0; o < link.outputs; o++)
        for (int64_t i = 0; i < link.inputs; i++) s.packed[i * stride + o] = link.weight[o * link.inputs + i];
    if (link.bias) {
        s.bias.assign(stride, 0.0f);
        std::memcpy(s.bias.data(), link.bias, 4 * link.outputs);
    }
    product(x, s.packed.data(), link.bias ? s.bias.data() : nullptr, y, rows, link.inputs, link.outputs);
}

void linear_backward(Scratch& s, const Link& link, const float* x, const float* grad, float* below, int64_t rows) {
    if (link.weight_grad) product_of_columns(grad, x, link.weight_grad, rows, link.outputs, link.inputs);
    if (link.bias_grad) {
        for (int64_t o = 0; o < link.outputs; o++) link.bias_grad[o] = 0;
        for (int64_t r = 0; r < rows; r++)
            for (int64_t o = 0; o < link.outputs; o++) link.bias_grad[o] += grad[r * link.outputs + o];
    }
    if (!below) return;
    const int64_t stride = padded(link.inputs);
    s.packed.assign(link.outputs * stride, 0.0f);
    for (int64_t o = 0; o < link.outputs; o++)
        std::memcpy(&s.packed[o * stride], link.weight + o * link.inputs, 4 * link.inputs);
    product(grad, s.packed.data(), nullptr, below, rows, link.outputs, link.inputs);
}

// Values (grad null) or gradients of an activation, in the precision that its input asks for.
bool activate(Scratch& s, const Link& link, const float* x, const float* grad, float* y, int64_t size, bool wide) {
    double* const* places = nullptr;
    if (grad && link.parameters) {
        int64_t count = 0;
        for (int64_t p = 0; p < link.parameters; p++) count += link.table[3 * p + 1];
        s.sums.assign(count, 0.0);
        s.places.clear();
        for (int64_t p = 0, at = 0; p < link.parameters; at += link.table[3 * p++ + 1])
            s.places.push_back(&s.sums[at]);
        places = s.places.data();
    }
    bool done;
    if (!wide) {
        // Not done is also what needs float64 and has none; whoever made the chain saw to it that it has.
        done = symact_run(grad ? link.backward : link.forward, FLOAT32, size, 1, x, grad, y, link.table, places) == 1;
    } else {
        s.x.assign(x, x + size);
        if (grad) s.grad.assign(grad, grad + size);
        s.y.resize(size);
        s.parameters.clear();
        s.table.assign(link.table, link.table + 3 * link.parameters);
        for (int64_t p = 0; p < link.parameters; p++) {
            const float* values = reinterpret_cast<const float*>(link.table[3 * p]);
            s.parameters.insert(s.parameters.end(), values, values + link.table[3 * p + 1]);
        }
        for (int64_t p = 0, at = 0; p < link.parameters; at += link.table[3 * p++ + 1])
            s.table[3 * p] = reinterpret_cast<int64_t>(&s.parameters[at]);
        done = symact_run(grad ? link.wide_backward : link.wide_forward, FLOAT64, size, 1, s.x.data(),
                          grad ? s.grad.data() : nullptr, s.y.data(), s.table.data(), places) == 1;
        for (int64_t i = 0; i < size; i++) y[i] = static_cast<float>(s.y[i]);
    }
    for (int64_t p = 0; places && p < link.parameters; p++)
        if (float* to = reinterpret_cast<float*>(link.places[p]))
            for (int64_t k = 0; k < link.table[3 * p + 1]; k++) to[k] = static_cast<float>(places[p][k]);
    return done;
}

// Mean cross-entropy of scores (rows, classes) with smoothed labels, and its gradient or, without a place for that, after
// the loss the number of rows whose label has the highest score; false for an unknown label.
bool cross_entropy(const float* scores, const int64_t* labels, int64_t rows, int64_t classes, double smoothing,
                   float* loss, float* grad) {
    const float low = static_cast<float>(smoothing / classes), high = static_cast<float>(1 - smoothing) + low;
    double total = 0;
    int64_t right = 0;
    for (int64_t r = 0; r < rows; r++) {
        const float* row = scores + r * classes;
        const int64_t label = labels[r];
        if (label < 0 || label >= classes) return false;
        int64_t best = 0;
        for (int64_t c = 1; c < classes; c++) best = row[c] > row[best] ? c : best;
        right += best == label;
        const float top = row[best];
        float sum = 0;
        for (int64_t c = 0; c < classes; c++) sum += std::exp(row[c] - top);
        const float logarithm = std::log(sum);
        for (int64_t c = 0; c < classes; c++) {
            const float target = c == label ? high : low;
            // A class of no weight takes no part, even with a score of minus infinity.
            if (target != 0) total -= static_cast<double>(target * (row[c] - top - logarithm));
            if (grad) grad[r * classes + c] = (std::exp(row[c] - top - logarithm) - target) / rows;
        }
    }
    loss[0] = static_cast<float>(total / rows);
    if (!grad) loss[1] = static_cast<float>(right);
    return true;
}

}  // namespace

#define SYMACT_JOIN_(a, b) a##b
#define SYMACT_JOIN(a, b) SYMACT_JOIN_(a, b)

// Runs `count` links on x (rows, inputs of the first). With labels: writes the loss and all gradients. With a place for
// scores (rows, outputs of the last): writes those and no gradients; with labels too, the loss and how many are right.
// 0 on success, 1 without memory, 2 for a label that is no class.
extern "C" int SYMACT_JOIN(symact_mlp_step_, SYMACT_ISA)(const Link* links, int count, int64_t rows, const float* x,
                                                      const int64_t* labels, double smoothing, float* loss,
                                                      float* scores) try {
    static thread_local Scratch s;
    s.offsets.assign(count + 1, 0);
    s.wide.assign(count, 0);
    int64_t widest = 0;
    for (int k = 0; k < count; k++) {
        s.offsets[k + 1] = s.offsets[k] + rows * links[k].outputs;
        if (links[k].outputs > widest) widest = links[k].outputs;
    }
    grow(s.values, s.offsets[count]);
    const float* value = x;
    for (int k = 0; k < count; k++) {
        const Link& link = links[k];
        float* y = scores && k == count - 1 ? scores : s.values.data() + s.offsets[k];
        if (link.weight) {
            linear_forward(s, link, value, y, rows);
        } else {
            s.wide[k] = exceeds(value, rows * link.inputs, link.limit);
            if (!activate(s, link, value, nullptr, y, rows * link.inputs, s.wide[k])) return 1;
        }
        value = y;
    }
    if (!labels) return 0;
    if (scores)
        return cross_entropy(value, labels, rows, links[count - 1].outputs, smoothing, loss, nullptr) ? 0 : 2;
    for (auto& grad : s.grads) grow(grad, rows * widest);
    float *grad = s.grads[0].data(), *below = s.grads[1].data();
    if (!cross_entropy(value, labels, rows, links[count - 1].outputs, smoothing, loss, grad)) return 2;
    for (int k = count - 1; k >= 0; k--) {
        const Link& link = links[k];
        const float* input = k ? s.values.data() + s.offsets[k - 1] : x;
        if (link.weight)
            linear_backward(s, link, input, grad, k ? below : nullptr, rows);
        else if (!activate(s, link, input, grad, below, rows * link.inputs, s.wide[k]))
            return 1;
        float* other = grad;
        grad = below;
        below = other;
    }
    return 0;
} catch (const std::bad_alloc&) {
    return 1;
}
