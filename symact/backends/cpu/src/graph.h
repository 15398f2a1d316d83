// A Program as a graph of nodes while it is compiled to bytecode.
#pragma once

#include <cstddef>
#include <vector>

#include "bytecode.h"

namespace symact {

constexpr int NONE = -1, MOST_ARGUMENTS = 12;

struct Node {
    int op;
    int arguments[MOST_ARGUMENTS];
    double value = 0.0;
    int uses = 0;
    bool absorbed = false;
};

inline int arity(int op) {
    if (op == OP_const || op == OP_input) return 0;
    if (op == OP_second || op < OP_add || (op >= OP_copy && op < OP_times_exp)) return 1;
    if (op < OP_where || (op >= OP_times_exp && op < OP_where_lt)) return 2;
    if (op >= OP_sin_product && op < OP_sin_scaled) return 2;
    if (op >= OP_sin_scaled && op <= OP_scaled_pair) return 3;
    if (op == OP_clip_line || op == OP_clip_line_pair || op == OP_where_inside_times) return 5;
    if (op >= OP_silu_pair && op < OP_gate_silu_pair) return 1;
    if (op >= OP_clip_times_silu_pair && op < OP_clip_gate_silu_pair) return 7;
    if (op >= OP_clip_gate_silu_pair && op < OP_chain2) return 12;
    return op == OP_where || op == OP_clip || (op >= OP_chain2 && op < OP_tree) ? 3 : 4;
}

struct Graph {
    int inputs;
    std::vector<int> outputs;
    std::vector<Node> nodes;

    bool is(int node, int op) const { return nodes[node].op == op; }
    bool is_value(int node, double value) const { return is(node, OP_const) && nodes[node].value == value; }
    bool has(int op) const {
        for (const Node& node : nodes)
            if (node.op == op) return true;
        return false;
    }
    bool single(int node) const { return nodes[node].uses == 1; }
    int argument(int node, int i) const { return nodes[node].arguments[i]; }
    int size() const { return static_cast<int>(nodes.size()); }

    // The node computes something else from now on; nodes that use it stay.
    void become(int node, int op, int a, int b = NONE, int c = NONE, int d = NONE, int e = NONE) {
        nodes[node] = Node{op, {a, b, c, d, e}, 0.0, nodes[node].uses, false};
    }
    int make(int op, int a, int b = NONE, int c = NONE, int d = NONE) {
        nodes.push_back(Node{op, {a, b, c, d, NONE}});
        return size() - 1;
    }
    // The node of a function of one argument, or NONE.
    int find(int op, int a) const {
        for (int i = inputs; i < size(); i++)
            if (is(i, op) && argument(i, 0) == a) return i;
        return NONE;
    }
    int constant(double value);
    void count_uses();
    // Appends `root` and what it needs, arguments before what uses them.
    void visit(int root, std::vector<char>& seen, std::vector<int>& order) const;
};

struct Term {
    int node;
    bool minus;
};
// The terms of a sum whose partial sums nobody else uses.
void terms_of(const Graph& graph, int node, bool minus, bool top, std::vector<Term>& terms);

// The factors of a product whose partial products nobody else uses.
void factors_of(const Graph& graph, int node, bool top, std::vector<int>& factors);

// The factor that stands beside `factor` in a product, else NONE.
int beside(const Graph& graph, int product, int factor);

// x*sign(x) is |x|.
void fold_signs(Graph& graph);

// Takes the gradient out of sums.
void factor_sums(Graph& graph);

// Sines of products and sums in one step, sums and products in two words; counts uses before and after.
void fuse_angles(Graph& graph);

// Multiplies by up to two factors in the step of such a sine.
void multiply_angles(Graph& graph);

// Both gradients of a gate in one step, in a program of several outputs.
void fuse_gradients_of_gates(Graph& graph);

// Products of a function of a clipped input and of another, clipped or not, in one step, and their gradients.
void fuse_clipped_gates(Graph& graph);

// Replaces what program.py says by fewer, larger operations of the same meaning.
void fuse(Graph& graph);

}  // namespace symact
