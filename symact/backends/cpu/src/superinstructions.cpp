// What makes the interpreter fast: derivatives of known functions are recognized, functions that share work are
// computed in pairs, and arithmetic is done several operations at a time.
#include <algorithm>

#include "patterns.h"

namespace symact {
namespace {

// u where `node` is op(u), else NONE.
int inside(const Graph& g, int node, int op) { return node != NONE && g.is(node, op) ? g.argument(node, 0) : NONE; }

struct Row {
    Pattern pattern;
    int op;  // of u
    bool times_v;
};

// What a node is replaced by: a function of u, or v times one. Rows apply from the inputs to the outputs, and the
// first that matches counts, so that a row meets what those before have made of its arguments.
const std::vector<Row>& rows() {
    auto function = [](const char* text, int op) { return Row{Pattern(text), op, false}; };
    auto product = [](const char* text, int op) { return Row{Pattern(text), op, true}; };
    static const std::vector<Row> table = {
        function("exp(neg(mul(u, u)))", OP_gauss),
        function("exp(mul(-0.5, mul(u, u)))", OP_gauss_half),
        function("sigmoid(neg(u))", OP_sigmoid_minus),
        function("tanh(softplus(u))", OP_tanh_softplus),
        function("div(mul(exp(min(u, 20)), add(exp(min(u, 20)), 2)),"
                 "    add(mul(exp(min(u, 20)), add(exp(min(u, 20)), 2)), 2))",
                 OP_tanh_softplus),
        function("mul(div(1, cosh(u)), div(1, cosh(u)))", OP_sech_squared),
        function("mul(u, sigmoid(u))", OP_silu),
        function("mul(u, tanh_softplus(u))", OP_mish),
        function("mul(u, ndtr(u))", OP_gelu),
        function("where(lt(0, u), u, expm1(u))", OP_elu),
        function("mul(sign(u), i0e_minus_i1e(abs(u)))", OP_i0e_fall),
        product("mul(mul(v, sigmoid(u)), sigmoid_minus(u))", OP_sigmoid_slope),
        product("mul(mul(v, 0.3989422804014327), gauss_half(u))", OP_ndtr_slope),
        product("mul(mul(v, sech_squared(softplus(u))), sigmoid(u))", OP_tanh_softplus_slope),
        // With e = exp(u), d = e*(e + 2) + 2 and s = v*(2/d)/d.
        product("where(lt(u, 20), mul(e, add(mul(add(e, 2), s), mul(e, s))), 0)", OP_tanh_softplus_slope),
    };
    return table;
}

// The s of the last row, whose d is that of u; gives v.
int mish_adjoint(const Graph& g, int s, int u) {
    static const Pattern form("div(mul(v, div(2, d)), d)");
    static const Pattern bottom("add(mul(exp(min(u, 20)), add(exp(min(u, 20)), 2)), 2)");
    int found[26];
    std::fill_n(found, 26, NONE);
    if (!form.match(g, s, found)) return NONE;
    int v = found['v' - 'a'], d = found['d' - 'a'];
    std::fill_n(found, 26, NONE);
    return bottom.match(g, d, found) && found['u' - 'a'] == u ? v : NONE;
}

// sigmoid(-k*u) beside sigmoid(k*u) is sigmoid(-(k*u)), by the one product.
void recognize_opposite(Graph& g, int i) {
    const int product = g.is(i, OP_sigmoid) ? g.argument(i, 0) : NONE;
    if (product == NONE || !g.is(product, OP_mul)) return;
    for (int side : {0, 1}) {
        const int u = g.argument(product, side), k = g.argument(product, 1 - side);
        if (!g.is(k, OP_const)) continue;
        for (int j = g.inputs; j < i; j++) {
            const int other = g.is(j, OP_sigmoid) ? beside(g, g.argument(j, 0), u) : NONE;
            if (other != NONE && g.is_value(other, -g.nodes[k].value))
                return g.become(i, OP_sigmoid_minus, g.argument(j, 0));
        }
    }
}

void recognize(Graph& g, int i) {
    recognize_opposite(g, i);
    for (const Row& row : rows()) {
        if (row.pattern.operation() != g.nodes[i].op) continue;
        int found[26];
        std::fill_n(found, 26, NONE);
        if (!row.pattern.match(g, i, found)) continue;
        int u = found['u' - 'a'], v = found['v' - 'a'];
        if (found['s' - 'a'] != NONE) v = mish_adjoint(g, found['s' - 'a'], u);
        if (!row.times_v) return g.become(i, row.op, u);
        if (v == NONE) continue;
        int known = g.find(row.op, u);
        return g.become(i, OP_mul, v, known != NONE ? known : g.make(row.op, u));
    }
}

// The factors of a product without one of them, in order.
std::vector<int> other_factors(const Graph& g, int product, int factor) {
    std::vector<int> found;
    factors_of(g, product, true, found);
    found.erase(std::find(found.begin(), found.end(), factor));
    std::sort(found.begin(), found.end());
    return found;
}

// The factor op(u) of a product, or any with that operation where u is NONE; else NONE.
int factor_with(const Graph& g, int product, int op, int u = NONE) {
    std::vector<int> found;
    factors_of(g, product, true, found);
    for (int f : found)
        if (g.is(f, op) && (u == NONE || g.argument(f, 0) == u)) return f;
    return NONE;
}

// The same of a function of a product: f(b*c)*v + b*c*v*f'(b*c), the factors of the second in any order.
int product_rule_of_product(Graph& g, int p, int q, const int (&row)[3]) {
    const int f = factor_with(g, p, row[0]);
    if (f == NONE) return NONE;
    const int u = g.argument(f, 0), slope = factor_with(g, q, row[1], u);
    // Where the slope is needed by itself, this would be more work, not less.
    if (!g.is(u, OP_mul) || slope == NONE || !g.single(slope)) return NONE;
    std::vector<int> rest = other_factors(g, p, f), all = rest;
    all.insert(all.end(), {g.argument(u, 0), g.argument(u, 1)});
    std::sort(all.begin(), all.end());
    if (rest.empty() || all != other_factors(g, q, slope)) return NONE;
    const int known = g.find(row[2], u);
    int product = known != NONE ? known : g.make(row[2], u);
    for (int v : rest) product = g.make(OP_mul, v, product);
    return product;
}

// f(u)*v + (u*v)*f'(u) -> v*(u*f(u))'; gives the new product or NONE.
int product_rule(Graph& g, int p, int q) {
    static constexpr int ROWS[][3] = {{OP_sigmoid, OP_sigmoid_slope, OP_silu_slope},
                                      {OP_tanh_softplus, OP_tanh_softplus_slope, OP_mish_slope},
                                      {OP_ndtr, OP_ndtr_slope, OP_gelu_slope}};
    if (!g.is(p, OP_mul) || !g.is(q, OP_mul) || !g.single(p) || !g.single(q)) return NONE;
    for (const auto& row : ROWS)
        for (int side : {0, 1}) {
            int u = inside(g, g.argument(p, side), row[0]), v = g.argument(p, 1 - side);
            if (u == NONE) continue;
            for (int other : {0, 1})
                if (inside(g, g.argument(q, other), row[1]) == u && beside(g, g.argument(q, 1 - other), u) == v) {
                    int known = g.find(row[2], u);
                    return g.make(OP_mul, v, known != NONE ? known : g.make(row[2], u));
                }
        }
    for (const auto& row : ROWS) {
        const int found = product_rule_of_product(g, p, q, row);
        if (found != NONE) return found;
    }
    return NONE;
}

// where(c, a, 0) + where(c, 0, b) -> where(c, a, b)
int merge_branches(Graph& g, int p, int q) {
    if (!g.is(p, OP_where) || !g.is(q, OP_where) || g.argument(p, 0) != g.argument(q, 0)) return NONE;
    if (!g.is_value(g.argument(p, 2), 0.0) || !g.is_value(g.argument(q, 1), 0.0)) return NONE;
    return g.make(OP_where, g.argument(p, 0), g.argument(p, 1), g.argument(q, 2));
}

bool simplify_sum(Graph& g, int root) {
    std::vector<Term> terms;
    terms_of(g, root, false, true, terms);
    bool changed = false;
    for (std::size_t i = 0; i < terms.size(); i++)
        for (std::size_t j = 0; j < terms.size(); j++) {
            if (i == j || terms[i].minus != terms[j].minus) continue;
            int merged = product_rule(g, terms[i].node, terms[j].node);
            if (merged == NONE) merged = merge_branches(g, terms[i].node, terms[j].node);
            if (merged == NONE) continue;
            changed = true;
            g.nodes[merged].uses = 1;
            terms[i].node = merged;
            terms.erase(terms.begin() + static_cast<std::ptrdiff_t>(j));
            if (j < i) i--;
            j = static_cast<std::size_t>(-1);
        }
    if (!changed) return false;
    std::size_t first = 0;
    while (first < terms.size() && terms[first].minus) first++;
    if (first == terms.size()) {
        first = 0;
        terms[0] = {g.make(OP_mul, terms[0].node, g.constant(-1.0)), false};
    }
    int total = terms[first].node;
    for (std::size_t i = 0; i < terms.size(); i++)
        if (i != first) total = g.make(terms[i].minus ? OP_sub : OP_add, total, terms[i].node);
    Node copy = g.nodes[total];
    g.become(root, copy.op, copy.arguments[0], copy.arguments[1], copy.arguments[2]);
    return true;
}

void simplify_sums(Graph& g) {
    for (int i = g.size() - 1; i >= g.inputs; i--)
        if (g.nodes[i].uses > 0 && (g.is(i, OP_add) || g.is(i, OP_sub)) && simplify_sum(g, i)) g.count_uses();
}

// Choices: where(0 < u, v, v*exp(u)) -> v*elu'(u); what a clip lets through; comparison and choice in one.
void simplify_choice(Graph& g, int i) {
    static const Pattern inside_of("where(lt(b, min(a, c)), where(lt(a, c), d, 0), 0)");
    static const Pattern clip("max(min(a, c), b)");
    static const Pattern slopes[] = {Pattern("where(lt(0, u), v, mul(v, exp(u)))"),
                                     Pattern("where(lt(0, u), neg(v), neg(mul(v, exp(u))))")};
    int found[26];
    auto matches = [&](const Pattern& pattern) {
        std::fill_n(found, 26, NONE);
        return g.nodes[i].op == pattern.operation() && pattern.match(g, i, found);
    };
    auto at = [&](char letter) { return found[letter - 'a']; };
    auto ordered = [&] {
        int low = at('b'), high = at('c');
        return g.is(low, OP_const) && g.is(high, OP_const) && g.nodes[low].value < g.nodes[high].value;
    };
    if (matches(clip) && ordered()) return g.become(i, OP_clip, at('a'), at('b'), at('c'));
    if (matches(inside_of) && ordered())
        return g.become(i, OP_where_inside, at('a'), at('b'), at('c'), at('d'));
    for (const Pattern& slope : slopes) {
        if (!matches(slope)) continue;
        int u = at('u'), v = at('v'), known = g.find(OP_elu_slope, u);
        if (known == NONE) known = g.make(OP_elu_slope, u);
        if (&slope == slopes) return g.become(i, OP_mul, v, known);
        return g.become(i, OP_neg, g.make(OP_mul, v, known));
    }
    if (!g.is(i, OP_where)) return;
    int c = g.argument(i, 0);
    for (int which : {0, 1, 2})
        if (g.is(c, OP_lt + which))
            return g.become(i, OP_where_lt + which, g.argument(c, 0), g.argument(c, 1), g.argument(i, 1),
                            g.argument(i, 2));
}

void simplify_choices(Graph& g) {
    // From the outputs on, since the larger forms hold the smaller ones.
    const int count = g.size();
    std::vector<char> seen(count, 0);
    std::vector<int> order;
    for (int output : g.outputs) g.visit(output, seen, order);
    for (std::size_t k = order.size(); k > 0; k--) simplify_choice(g, order[k - 1]);
}

// The slope of 1/cosh^2, where nothing else needs the tanh in it, which would be computed twice.
void recognize_sech_squared_slope(Graph& g) {
    static const Pattern form("mul(mul(sech_squared(u), tanh(u)), -2)");
    for (int i = g.inputs; i < g.size(); i++) {
        int found[26];
        std::fill_n(found, 26, NONE);
        if (g.nodes[i].uses == 0 || !g.is(i, OP_mul) || !form.match(g, i, found)) continue;
        const int u = found['u' - 'a'], inner = g.argument(i, g.is(g.argument(i, 0), OP_const));
        if (g.single(inner) && g.single(g.find(OP_tanh, u))) g.become(i, OP_sech_squared_slope, u);
    }
}

void pair_up(Graph& g) {
    static constexpr int ROWS[][3] = {
#define X(first, second, function) {OP_##first, OP_##second, OP_##function},
        SYMACT_PAIRS(X)
#undef X
    };
    const int count = g.size();
    std::vector<char> taken(count, 0);
    for (const auto& row : ROWS)
        for (int i = g.inputs; i < count; i++) {
            if (!g.is(i, row[0]) || g.nodes[i].uses == 0 || taken[i]) continue;
            for (int j = g.inputs; j < count; j++) {
                if (!g.is(j, row[1]) || g.nodes[j].uses == 0 || taken[j]) continue;
                if (g.argument(i, 0) != g.argument(j, 0)) continue;
                g.become(i, row[2], g.argument(i, 0));
                g.become(j, OP_second, i);
                taken[i] = taken[j] = 1;
                break;
            }
        }
}

// clip(u, d, e) + c -> clip(u*1 + c, d + c, e + c): rounding keeps the order of numbers, so with bounds that are exact both
// give the same.
void shifted_clips(Graph& g) {
    auto exact = [](double a, double b) { return static_cast<double>(static_cast<float>(a) + static_cast<float>(b)) == a + b; };
    const int count = g.size();
    for (int i = g.inputs; i < count; i++) {
        if (!g.is(i, OP_add) || g.nodes[i].uses == 0) continue;
        for (int side : {0, 1}) {
            const int clip = g.argument(i, side), shift = g.argument(i, 1 - side);
            if (!g.is(clip, OP_clip) || !g.single(clip) || !g.is(shift, OP_const)) continue;
            const int u = g.argument(clip, 0), low = g.argument(clip, 1), high = g.argument(clip, 2);
            const double c = g.nodes[shift].value, d = g.nodes[low].value, e = g.nodes[high].value;
            if (!exact(d, c) || !exact(e, c)) continue;
            const int one = g.constant(1.0), from = g.constant(d + c), to = g.constant(e + c);
            g.become(i, OP_clip_line, u, one, shift, from, to);
            break;
        }
    }
}

// clip(u*b + c, d, e) of constants, with the line itself where it is needed again.
void clip_lines(Graph& g) {
    const int count = g.size();
    for (int i = g.inputs; i < count; i++) {
        if (!g.is(i, OP_clip) || g.nodes[i].uses == 0) continue;
        int line = g.argument(i, 0), low = g.argument(i, 1), high = g.argument(i, 2);
        for (int side : {0, 1}) {
            if (!g.is(line, OP_add) || !g.is(i, OP_clip)) continue;
            int offset = g.argument(line, side), product = g.argument(line, 1 - side);
            if (!g.is(offset, OP_const) || !g.is(product, OP_mul) || !g.single(product)) continue;
            int which = g.is(g.argument(product, 0), OP_const) ? 0 : 1;
            int slope = g.argument(product, which), u = g.argument(product, 1 - which);
            if (!g.is(slope, OP_const)) continue;
            bool alone = g.single(line);
            g.become(i, alone ? OP_clip_line : OP_clip_line_pair, u, slope, offset, low, high);
            if (!alone) g.become(line, OP_second, i);
        }
    }
}

// -(clip(u*b + c, d, e)*v) -> clip(u*-b - c, -e, -d)*v, which rounds alike.
void negate_clips(Graph& g) {
    const int count = g.size();
    for (int i = g.inputs; i < count; i++) {
        if (!g.is(i, OP_mul) || g.nodes[i].uses == 0) continue;
        for (int side : {0, 1}) {
            int product = g.argument(i, side);
            if (!g.is(i, OP_mul) || !g.is_value(g.argument(i, 1 - side), -1.0)) continue;
            if (!g.is(product, OP_mul) || !g.single(product)) continue;
            for (int place : {0, 1}) {
                int line = g.argument(product, place), v = g.argument(product, 1 - place);
                if (!g.is(line, OP_clip_line) || !g.single(line)) continue;
                auto minus = [&](int which) { return g.constant(-g.nodes[g.argument(line, which)].value); };
                int b = minus(1), c = minus(2), d = minus(4), e = minus(3);
                g.become(line, OP_clip_line, g.argument(line, 0), b, c, d, e);
                g.become(i, OP_mul, line, v);
                break;
            }
        }
    }
}

// The product in a choice, where nobody else needs it.
void multiply_inside(Graph& g) {
    for (int i = g.inputs; i < g.size(); i++) {
        int product = g.is(i, OP_where_inside) && g.nodes[i].uses > 0 ? g.argument(i, 3) : NONE;
        if (product == NONE || !g.is(product, OP_mul) || !g.single(product)) continue;
        g.become(i, OP_where_inside_times, g.argument(i, 0), g.argument(i, 1), g.argument(i, 2), g.argument(product, 0),
                 g.argument(product, 1));
    }
}

void multiply_in(Graph& g) {
    static constexpr int ROWS[][2] = {
#define X(name, function) {OP_##name, OP_times_##name},
        SYMACT_TIMES(X)
#undef X
    };
    for (int i = g.inputs; i < g.size(); i++) {
        if (!g.is(i, OP_mul) || g.nodes[i].uses == 0) continue;
        for (int side : {0, 1}) {
            int f = g.argument(i, side), v = g.argument(i, 1 - side);
            if (!g.single(f) || !g.is(i, OP_mul)) continue;
            for (const auto& row : ROWS)
                if (g.is(f, row[0])) {
                    g.become(i, row[1], g.argument(f, 0), v);
                    break;
                }
        }
    }
}

// 0 to 2 for add, sub and mul, NONE for anything else.
int kind(int op) { return op == OP_add ? 0 : op == OP_sub ? 1 : op == OP_mul ? 2 : NONE; }

// Up to three additions, subtractions and multiplications in one step, where no other step needs those between.
void fuse_arithmetic(Graph& g, int i) {
    int q = kind(g.nodes[i].op);
    if (q == NONE || g.nodes[i].uses == 0 || g.nodes[i].absorbed) return;
    auto inner = [&](int node) {
        return node >= g.inputs && g.single(node) && !g.nodes[node].absorbed && kind(g.nodes[node].op) != NONE;
    };
    int a = g.argument(i, 0), b = g.argument(i, 1);
    if (inner(a) && inner(b) && a != b) {
        int p = kind(g.nodes[a].op), r = kind(g.nodes[b].op);
        g.nodes[a].absorbed = g.nodes[b].absorbed = true;
        return g.become(i, OP_tree + p * 9 + q * 3 + r, g.argument(a, 0), g.argument(a, 1), g.argument(b, 0),
                        g.argument(b, 1));
    }
    if (!inner(a) && !inner(b)) return;
    // The inner operation stands first; a subtraction from it is then reversed.
    auto first = [&](int node, int& code) {
        int x = g.argument(node, 0), y = g.argument(node, 1);
        code = kind(g.nodes[node].op);
        if (inner(x)) return std::pair(x, y);
        if (code == 1) code = 3;
        return std::pair(y, x);
    };
    int outer_code, inner_code;
    auto [middle, rest] = first(i, outer_code);
    g.nodes[middle].absorbed = true;
    if (inner(g.argument(middle, 0)) || inner(g.argument(middle, 1))) {
        auto [deepest, between] = first(middle, inner_code);
        g.nodes[deepest].absorbed = true;
        int code = OP_chain3 + kind(g.nodes[deepest].op) * 16 + inner_code * 4 + outer_code;
        return g.become(i, code, g.argument(deepest, 0), g.argument(deepest, 1), between, rest);
    }
    g.become(i, OP_chain2 + kind(g.nodes[middle].op) * 4 + outer_code, g.argument(middle, 0), g.argument(middle, 1),
             rest);
}

}  // namespace

void fuse(Graph& g) {
    g.count_uses();
    const int count = g.size();
    for (int i = g.inputs; i < count; i++) recognize(g, i);
    g.count_uses();
    fold_signs(g);
    simplify_sums(g);
    simplify_choices(g);
    g.count_uses();
    factor_sums(g);
    for (int i = g.inputs; i < g.size(); i++)
        if (g.is(i, OP_neg)) g.become(i, OP_mul, g.argument(i, 0), g.constant(-1.0));
    g.count_uses();
    clip_lines(g);
    shifted_clips(g);
    g.count_uses();
    recognize_sech_squared_slope(g);
    g.count_uses();
    pair_up(g);
    fuse_angles(g);
    negate_clips(g);
    g.count_uses();
    fuse_gradients_of_gates(g);
    fuse_clipped_gates(g);
    multiply_inside(g);
    multiply_angles(g);
    multiply_in(g);
    g.count_uses();
    std::vector<char> seen(g.nodes.size(), 0);
    std::vector<int> order;
    for (int output : g.outputs) g.visit(output, seen, order);
    for (std::size_t k = order.size(); k > 0; k--) fuse_arithmetic(g, order[k - 1]);
    g.count_uses();
}

}  // namespace symact
