// Gates in single steps: both gradients of a product of a function and something else, and gates of clipped inputs.
#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <iterator>

#include "graph.h"

namespace symact {
namespace {

// The one node that uses `node`, if it is a product, else NONE.
int only_product(const Graph& g, int node) {
    if (!g.single(node)) return NONE;
    for (int i = g.inputs; i < g.size(); i++)
        if (g.nodes[i].uses > 0 && g.is(i, OP_mul) && (g.argument(i, 0) == node || g.argument(i, 1) == node)) return i;
    return NONE;
}

bool needs(const Graph& g, int node, int wanted) {
    std::vector<char> seen(g.nodes.size(), 0);
    std::vector<int> order;
    g.visit(node, seen, order);
    return seen[wanted];
}

constexpr double INFINITE = HUGE_VAL;

// clip(base + shift, low, high); -0 is what may be added to every number and changes none.
struct Clip {
    int base;
    double shift = -0.0, low = -INFINITE, high = INFINITE;

    bool shifts() const { return shift != 0.0 || !std::signbit(shift); }
    bool clips() const { return low > -INFINITE || high < INFINITE; }
};

Clip clip_of(const Graph& g, int node) {
    const auto at = [&](int i) { return g.argument(node, i); };
    const auto constant = [&](int i) { return g.is(at(i), OP_const) && !std::isnan(g.nodes[at(i)].value); };
    const auto value = [&](int i) { return g.nodes[at(i)].value; };
    if (g.is(node, OP_min) && constant(1)) return {at(0), -0.0, -INFINITE, value(1)};
    if (g.is(node, OP_max) && constant(1)) return {at(0), -0.0, value(1), INFINITE};
    if (g.is(node, OP_clip)) return {at(0), -0.0, value(1), value(2)};
    if (g.is(node, OP_clip_line) && value(1) == 1.0) return {at(0), value(2), value(3), value(4)};
    return {node};
}

// low <= base <= high ? inner : 0, in float32; without a base it is `inner`.
struct Alive {
    int inner, base = NONE;
    float low = -INFINITE, high = INFINITE;
};

Alive alive_of(const Graph& g, int node) {
    const auto at = [&](int i) { return g.argument(node, i); };
    const auto constant = [&](int i) { return g.is(at(i), OP_const); };
    // The numbers beside a bound that is not alive itself.
    const auto above = [&](int i) { return std::nextafter(static_cast<float>(g.nodes[at(i)].value), HUGE_VALF); };
    const auto below = [&](int i) { return std::nextafter(static_cast<float>(g.nodes[at(i)].value), -HUGE_VALF); };
    if (g.is(node, OP_where_lt) && g.is_value(at(3), 0.0)) {
        if (constant(1)) return {at(2), at(0), -HUGE_VALF, below(1)};
        if (constant(0)) return {at(2), at(1), above(0), HUGE_VALF};
    }
    if (g.is(node, OP_where_inside) && constant(1) && constant(2)) return {at(3), at(0), above(1), below(2)};
    return {node};
}

// The place among `SYMACT_CLIPPED` of the pair whose first function is `op`, or whose gate is; else NONE.
int pair_of(int op, bool gate) {
    static constexpr int ROWS[][2] = {
#define X(first, second, function) {OP_##first, OP_gate_##function},
        SYMACT_CLIPPED(X)
#undef X
    };
    for (int i = 0; i < static_cast<int>(std::size(ROWS)); i++)
        if (ROWS[i][gate] == op) return i;
    return NONE;
}
constexpr int IDENTITY = OP_clip_times_identity_pair - OP_clip_times_silu_pair;

void replace(Graph& g, int node, int op, std::initializer_list<int> inputs, std::initializer_list<double> constants) {
    int arguments[MOST_ARGUMENTS], count = 0;
    for (int input : inputs) arguments[count++] = input;
    for (double value : constants) arguments[count++] = g.constant(value);
    g.become(node, op, NONE);
    std::copy_n(arguments, count, g.nodes[node].arguments);
}

// f(clip(x))*clip(y), where f may be missing.
void fuse_value(Graph& g, int product) {
    for (const bool plain : {false, true})
        for (const int side : {0, 1}) {
            const int f = g.argument(product, side), other = g.argument(product, 1 - side);
            const int pair = plain ? IDENTITY : pair_of(g.nodes[f].op, false);
            if (pair == NONE || f == other) continue;
            const Clip x = clip_of(g, plain ? f : g.argument(f, 0)), y = clip_of(g, other);
            if (x.shifts() || !(x.clips() || y.clips())) continue;
            // What others need is there already.
            if (plain ? !(x.clips() ? g.single(f) : g.single(other)) : !g.single(f)) continue;
            return replace(g, product, OP_clip_times_silu_pair + pair, {x.base, y.base},
                           {x.low, x.high, y.shift, y.low, y.high});
        }
}

// The gradients in x and y of the same, which are the first outputs of a program.
void fuse_gradients(Graph& g) {
    const int in_x = g.outputs[0], in_y = g.outputs[1];
    if (in_x == in_y) return;
    const Alive first = alive_of(g, in_y), second = alive_of(g, in_x);
    int pair = IDENTITY, u = NONE, v = NONE, grad = g.inputs - 1;
    if (g.is(second.inner, OP_second)) {
        if (g.argument(second.inner, 0) != first.inner) return;
        // The use by the second function is counted.
        if (g.nodes[first.inner].uses != 2 || !g.single(second.inner)) return;
        pair = pair_of(g.nodes[first.inner].op, true);
        if (pair == NONE) return;
        u = g.argument(first.inner, 0), grad = g.argument(first.inner, 1);
        const int c = g.argument(first.inner, 2), d = g.argument(first.inner, 3);
        v = c == grad ? d : d == grad ? c : NONE;
    } else if (g.single(first.inner) && g.single(second.inner)) {
        u = beside(g, first.inner, grad), v = beside(g, second.inner, grad);
    }
    if (u == NONE || v == NONE) return;
    const Clip x = clip_of(g, u), y = clip_of(g, v);
    const bool masked = first.base != NONE || second.base != NONE;
    if (x.shifts() || (pair != IDENTITY && !x.clips() && !y.clips() && !masked)) return;
    if ((second.base != NONE && second.base != x.base) || (first.base != NONE && first.base != y.base)) return;
    for (const int node : {x.base, y.base, grad})
        if (needs(g, node, in_x) || needs(g, node, in_y)) return;
    replace(g, in_y, OP_clip_gate_silu_pair + pair, {x.base, y.base, grad},
            {x.low, x.high, y.shift, y.low, y.high, second.low, second.high, first.low, first.high});
    g.become(in_x, OP_second, in_y);
}

}  // namespace

// What gates give in a backward program: a pair of functions, each of which is a factor and nothing else. Where there is
// one gradient, it is multiplied once and last.
void fuse_gradients_of_gates(Graph& g) {
    if (g.outputs.size() < 2) return;
    static constexpr int COUNT = OP_clip_times_silu_pair - OP_gate_silu_pair;
    const int count = g.size();
    for (int j = g.inputs; j < count; j++) {
        if (!g.is(j, OP_second) || g.nodes[j].uses == 0) continue;
        const int i = g.argument(j, 0), op = g.nodes[i].op;
        // The use of the pair by its second function is counted.
        if (op < OP_silu_pair || op >= OP_silu_pair + COUNT || g.nodes[i].uses != 2) continue;
        g.nodes[i].uses = 1;
        const int y = only_product(g, i), z = only_product(g, j);
        g.nodes[i].uses = 2;
        if (y == NONE || z == NONE || y == z) continue;
        const int b = beside(g, y, i), other = beside(g, z, j);
        const bool product = g.is(other, OP_mul) && g.single(other);
        const int c = product ? g.argument(other, 0) : other;
        const int d = product ? g.argument(other, 1) : g.constant(1.0);
        if (needs(g, other, y) || needs(g, b, z)) continue;
        g.become(y, op - OP_silu_pair + OP_gate_silu_pair, g.argument(i, 0), b, c, d);
        g.become(z, OP_second, y);
        g.count_uses();
    }
}

void fuse_clipped_gates(Graph& g) {
    if (g.outputs.size() > 1) fuse_gradients(g);
    g.count_uses();
    const int count = g.size();
    for (int i = g.inputs; i < count; i++)
        if (g.is(i, OP_mul) && g.nodes[i].uses > 0) fuse_value(g, i);
    g.count_uses();
}

}  // namespace symact
