// Sines of products and sums: what `compensation.py` writes as several operations is computed in one, and numbers in
// two words come from one step.
#include <algorithm>
#include <utility>

#include "patterns.h"

namespace symact {
namespace {

struct AngleRow {
    Pattern pattern;
    int op;  // of what stands at the letters a, b and c
};

void replace(Graph& g, const std::vector<AngleRow>& rows) {
    for (const AngleRow& row : rows)
        for (int i = g.inputs; i < g.size(); i++) {
            if (g.nodes[i].uses == 0 || g.nodes[i].op != row.pattern.operation()) continue;
            int found[26];
            std::fill_n(found, 26, NONE);
            if (row.pattern.match(g, i, found)) g.become(i, row.op, found[0], found[1], found[2]);
        }
}

// sin(u)/u and its slope with the branch for small u, which their own operations have.
void recognize_sinc(Graph& g) {
    static const std::vector<AngleRow> rows = {
        {Pattern("where_lt(abs(a), 2, sinc(where_lt(abs(a), 2, a, 0)),"
                 "         div(sin_sum(a, b), where_lt(abs(a), 2, 2, a)))"),
         OP_sinc_sum},
        {Pattern("where_lt(abs(a), 2, sinc_grad(where_lt(abs(a), 2, a, 0)),"
                 "         div(sub(cos_sum(a, b), div(sin_sum(a, b), where_lt(abs(a), 2, 2, a))),"
                 "             where_lt(abs(a), 2, 2, a)))"),
         OP_sinc_grad_sum},
    };
    replace(g, rows);
}

// sin(b*(|a| + 1)*a), and v times its slope, which has lost its sign and the choice at 0 before.
void recognize_finer(Graph& g) {
#define ANGLE "(mul(a, mul(b, add(abs(a), 1))), add(product_rest(a, mul(b, add(abs(a), 1)))," \
              " mul(a, add(product_rest(b, add(abs(a), 1)), mul(b, sum_rest(abs(a), 1))))))"
    static const Pattern value("sin_sum" ANGLE);
    static const Pattern slope("mul(add(mul(b, add(abs(a), 1)), mul(abs(a), b)), mul(v, cos_sum" ANGLE "))");
#undef ANGLE
    for (int i = g.inputs; i < g.size(); i++) {
        int found[26];
        std::fill_n(found, 26, NONE);
        if (g.nodes[i].uses > 0 && value.match(g, i, found)) g.become(i, OP_finer, found[0], found[1]);
        std::fill_n(found, 26, NONE);
        if (g.nodes[i].uses > 0 && slope.match(g, i, found))
            g.become(i, OP_mul, g.make(OP_mul, g.make(OP_finer_slope, found[0], found[1]), found[1]), found['v' - 'a']);
    }
}

// sin(u + v) and cos(u + v) together.
void pair_up_sums(Graph& g) {
    const int count = g.size();
    for (int i = g.inputs; i < count; i++)
        for (int j = g.inputs; j < count && g.is(i, OP_sin_sum) && g.nodes[i].uses > 0; j++) {
            if (!g.is(j, OP_cos_sum) || g.nodes[j].uses == 0) continue;
            if (g.argument(i, 0) != g.argument(j, 0) || g.argument(i, 1) != g.argument(j, 1)) continue;
            g.become(i, OP_sin_sum_pair, g.argument(i, 0), g.argument(i, 1));
            g.become(j, OP_second, i);
        }
}

// Angles that are products, whose rest is that of the product, perhaps of a number in two words.
void absorb_products(Graph& g) {
    static const std::vector<AngleRow> rows = {
        {Pattern("sin_sum(mul(a, b), product_rest(a, b))"), OP_sin_product},
        {Pattern("cos_sum(mul(a, b), product_rest(a, b))"), OP_cos_product},
        {Pattern("sinc_sum(mul(a, b), product_rest(a, b))"), OP_sinc_product},
        {Pattern("sinc_grad_sum(mul(a, b), product_rest(a, b))"), OP_sinc_grad_product},
        {Pattern("sin_sum(mul(a, b), add(product_rest(a, b), mul(a, c)))"), OP_sin_scaled},
        {Pattern("cos_sum(mul(a, b), add(product_rest(a, b), mul(a, c)))"), OP_cos_scaled},
    };
    replace(g, rows);
}

// The used node op(a, b), in either order, or NONE.
int find_used(const Graph& g, int op, int a, int b) {
    for (int i = g.inputs; i < g.size(); i++) {
        if (!g.is(i, op) || g.nodes[i].uses == 0) continue;
        int first = g.argument(i, 0), second = g.argument(i, 1);
        if ((first == a && second == b) || (first == b && second == a)) return i;
    }
    return NONE;
}

// A sum or a product whose rest is needed beside it.
void pair_up_words(Graph& g) {
    static const struct {
        Pattern rest;
        int op, pair;
    } rows[] = {
        {Pattern("sum_rest(a, b)"), OP_add, OP_sum_pair},
        {Pattern("add(product_rest(a, b), mul(a, c))"), OP_mul, OP_scaled_pair},
        {Pattern("product_rest(a, b)"), OP_mul, OP_product_pair},
    };
    for (const auto& row : rows) {
        for (int j = g.inputs; j < g.size(); j++) {
            if (g.nodes[j].uses == 0 || g.nodes[j].op != row.rest.operation()) continue;
            int found[26];
            std::fill_n(found, 26, NONE);
            if (!row.rest.match(g, j, found)) continue;
            int whole = find_used(g, row.op, found[0], found[1]);
            if (whole == NONE) continue;
            g.become(whole, row.pair, found[0], found[1], found[2]);
            g.become(j, OP_second, whole);
        }
        g.count_uses();
    }
}

bool is_angle(const Node& node) { return node.op >= OP_sin_product && node.op <= OP_finer_slope; }

}  // namespace

void fuse_angles(Graph& g) {
    g.count_uses();
    if (!g.has(OP_sin_sum) && !g.has(OP_cos_sum)) return;
    recognize_sinc(g);
    recognize_finer(g);
    g.count_uses();
    pair_up_sums(g);
    absorb_products(g);
    g.count_uses();
    pair_up_words(g);
}

void multiply_angles(Graph& g) {
    if (std::none_of(g.nodes.begin(), g.nodes.end(), is_angle)) return;
    std::vector<char> seen(g.nodes.size(), 0);
    std::vector<int> order;
    for (int output : g.outputs) g.visit(output, seen, order);
    // From the outputs on, so that a product is met before those that are factors of it.
    for (std::size_t k = order.size(); k > 0; k--) {
        const int root = order[k - 1];
        if (!g.is(root, OP_mul)) continue;
        std::vector<int> factors;
        factors_of(g, root, true, factors);
        if (factors.size() > 3) continue;
        for (std::size_t n = 0; n < factors.size(); n++) {
            const Node angle = g.nodes[factors[n]];
            if (!is_angle(angle) || angle.uses != 1) continue;
            factors.erase(factors.begin() + static_cast<std::ptrdiff_t>(n));
            if (factors.size() == 1) factors.push_back(g.constant(1.0));
            // The gradient stands last, as `is_slope_times_grad` has it.
            if (factors[0] == g.inputs - 1) std::swap(factors[0], factors[1]);
            g.become(root, angle.op - OP_sin_product + OP_times_sin_product, angle.arguments[0], angle.arguments[1],
                     factors[0], factors[1]);
            break;
        }
    }
    g.count_uses();
}

}  // namespace symact
