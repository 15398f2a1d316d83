// Products and sums of products as gradients have them: x*sign(x), and a factor that every term has.
#include <cmath>

#include "graph.h"

namespace symact {

int beside(const Graph& g, int product, int factor) {
    if (!g.is(product, OP_mul)) return NONE;
    if (g.argument(product, 0) == factor) return g.argument(product, 1);
    return g.argument(product, 1) == factor ? g.argument(product, 0) : NONE;
}

void terms_of(const Graph& g, int node, bool minus, bool top, std::vector<Term>& terms) {
    bool sum = g.is(node, OP_add) || g.is(node, OP_sub);
    if (!sum || (!top && !g.single(node))) return terms.push_back({node, minus});
    terms_of(g, g.argument(node, 0), minus, false, terms);
    terms_of(g, g.argument(node, 1), minus != g.is(node, OP_sub), false, terms);
}

void factors_of(const Graph& g, int node, bool top, std::vector<int>& factors) {
    if (!g.is(node, OP_mul) || (!top && !g.single(node))) return factors.push_back(node);
    for (int side : {0, 1}) factors_of(g, g.argument(node, side), false, factors);
}

namespace {

void fold_sign(Graph& g, int root) {
    std::vector<int> factors;
    factors_of(g, root, true, factors);
    for (std::size_t s = 0; s < factors.size(); s++)
        for (std::size_t k = 0; k < factors.size() && g.is(factors[s], OP_sign); k++) {
            if (factors[k] != g.argument(factors[s], 0)) continue;
            const int u = factors[k], known = g.find(OP_abs, u);
            if (factors.size() == 2) return g.become(root, OP_abs, u);
            int product = known != NONE ? known : g.make(OP_abs, u), last = NONE;
            for (std::size_t i = 0; i < factors.size(); i++) {
                if (i == s || i == k) continue;
                if (last != NONE) product = g.make(OP_mul, product, last);
                last = factors[i];
            }
            return g.become(root, OP_mul, product, last);
        }
}

// `node` without its factor `f`, made anew; NONE where it is no product with it that nobody else needs.
int without(Graph& g, int node, int f) {
    if (node == f) return g.constant(1.0);
    if (!g.single(node)) return NONE;
    const Node old = g.nodes[node];
    if (old.op == OP_mul)
        for (int side : {0, 1}) {
            int rest = without(g, old.arguments[side], f), other = old.arguments[1 - side];
            if (rest != NONE) return g.is_value(rest, 1.0) ? other : g.make(OP_mul, rest, other);
        }
    if (old.op == OP_neg || old.op == OP_where_inside) {
        int last = old.op == OP_neg ? 0 : 3, rest = without(g, old.arguments[last], f);
        if (rest == NONE) return NONE;
        return last ? g.make(old.op, old.arguments[0], old.arguments[1], old.arguments[2], rest) : g.make(old.op, rest);
    }
    if (old.op == OP_where_lt || old.op == OP_where_le || old.op == OP_where_eq)
        for (int side : {2, 3}) {
            int zero = old.arguments[5 - side];
            int rest = g.is_value(zero, 0.0) ? without(g, old.arguments[side], f) : NONE;
            if (rest == NONE) continue;
            return side == 2 ? g.make(old.op, old.arguments[0], old.arguments[1], rest, zero)
                             : g.make(old.op, old.arguments[0], old.arguments[1], zero, rest);
        }
    return NONE;
}

// g*a + g*b -> (a + b)*g
bool factor_out(Graph& g, int root, std::vector<Term> terms, int factor) {
    for (Term& term : terms) {
        term.node = without(g, term.node, factor);
        if (term.node == NONE) return false;
    }
    int total = terms[0].node;
    for (std::size_t i = 1; i < terms.size(); i++)
        total = g.make(terms[i].minus ? OP_sub : OP_add, total, terms[i].node);
    g.become(root, OP_mul, total, factor);
    return true;
}

// For the last input, which in a backward program is the gradient: every term has it, or a product with it.
bool factor_sum(Graph& g, int root) {
    const int last = g.inputs - 1;
    std::vector<Term> terms;
    terms_of(g, root, false, true, terms);
    if (terms[0].minus) return false;
    if (factor_out(g, root, terms, last)) return true;
    std::vector<int> factors;
    factors_of(g, terms[0].node, true, factors);
    for (int f : factors)
        if (g.is(f, OP_mul) && (g.argument(f, 0) == last || g.argument(f, 1) == last))
            if (factor_out(g, root, terms, f)) return true;
    return false;
}

// Where u is 0, so is a product of |u| and constants.
bool is_zero_at_zero(const Graph& g, int product, int u) {
    std::vector<int> factors;
    factors_of(g, product, true, factors);
    bool found = false;
    for (int f : factors) {
        const bool size = g.is(f, OP_abs) && g.argument(f, 0) == u;
        if (!size && !(g.is(f, OP_const) && std::isfinite(g.nodes[f].value))) return false;
        found = found || size;
    }
    return found;
}

}  // namespace

void fold_signs(Graph& g) {
    if (!g.has(OP_sign)) return;
    for (int i = g.size() - 1; i >= g.inputs; i--)
        if (g.is(i, OP_mul) && g.nodes[i].uses > 0) fold_sign(g, i);
    g.count_uses();
}

void factor_sums(Graph& g) {
    if (g.inputs < 2) return;
    for (int i = g.size() - 1; i >= g.inputs; i--)
        if (g.nodes[i].uses > 0 && (g.is(i, OP_add) || g.is(i, OP_sub)) && factor_sum(g, i)) g.count_uses();
    for (int i = g.inputs; i < g.size(); i++) {
        if (!g.is(i, OP_where_eq) || g.nodes[i].uses == 0) continue;
        const int u = g.argument(i, 0), product = g.argument(i, 3);
        if (!g.is_value(g.argument(i, 1), 0.0) || !g.is_value(g.argument(i, 2), 0.0)) continue;
        if (!is_zero_at_zero(g, product, u)) continue;
        const Node copy = g.nodes[product];
        g.become(i, copy.op, copy.arguments[0], copy.arguments[1]);
    }
}

}  // namespace symact
