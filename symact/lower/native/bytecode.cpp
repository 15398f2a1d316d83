// The compiler of bytecode: recognizes what can share work, fuses arithmetic, orders the steps, gives out slots.
#include "bytecode.h"

#include <cstddef>
#include <map>
#include <tuple>

namespace symact {
namespace {

constexpr int NONE = -1;

struct Node {
    int op;
    int arguments[4];
    double value;
    int uses = 0;
    bool absorbed = false;
};

int arity(int op) {
    if (op == OP_const || op == OP_input) return 0;
    if (op < OP_add) return 1;
    if (op < OP_where) return 2;
    if (op == OP_where) return 3;
    if (op < OP_sigmoid_of) return 1;
    if (op < OP_where_lt) return 2;
    if (op >= OP_chain2 && op < OP_tree) return 3;
    return 4;
}

class Compiler {
public:
    Compiler(int inputs, const std::vector<Source>& sources, const std::vector<int>& outputs)
        : inputs_(inputs), outputs_(outputs) {
        for (int i = 0; i < inputs; i++) nodes_.push_back({OP_input, {NONE, NONE, NONE, NONE}, 0.0});
        for (const Source& s : sources)
            nodes_.push_back({s.op, {s.arguments[0], s.arguments[1], s.arguments[2], NONE}, s.value});
    }

    void fuse() {
        const std::size_t count = nodes_.size();
        for (std::size_t i = inputs_; i < count; i++) recognize(static_cast<int>(i));
        for (std::size_t i = inputs_; i < count; i++)
            if (nodes_[i].op == OP_neg) become(static_cast<int>(i), OP_mul, argument(i, 0), constant(-1.0));
        count_uses();
        share();
        count_uses();
        for (int i = static_cast<int>(nodes_.size()) - 1; i >= inputs_; i--) fuse_arithmetic(i);
        count_uses();
    }

    Bytecode finish();

private:
    int inputs_;
    std::vector<int> outputs_;
    std::vector<Node> nodes_;
    std::map<std::tuple<int, int, int>, int> made_;

    bool is(int node, int op) const { return node >= 0 && nodes_[node].op == op; }
    bool is_value(int node, double value) const { return is(node, OP_const) && nodes_[node].value == value; }
    int argument(int node, int i) const { return nodes_[node].arguments[i]; }
    void become(int node, int op, int a, int b = NONE, int c = NONE, int d = NONE) {
        nodes_[node] = {op, {a, b, c, d}, 0.0, nodes_[node].uses, false};
    }
    // A new node, or the one that was made before.
    int make(int op, int a, int b = NONE) {
        auto [place, fresh] = made_.try_emplace({op, a, b}, static_cast<int>(nodes_.size()));
        if (fresh) nodes_.push_back({op, {a, b, NONE, NONE}, 0.0});
        return place->second;
    }
    int constant(double value) {
        for (std::size_t i = 0; i < nodes_.size(); i++)
            if (is_value(static_cast<int>(i), value)) return static_cast<int>(i);
        nodes_.push_back({OP_const, {NONE, NONE, NONE, NONE}, value});
        return static_cast<int>(nodes_.size()) - 1;
    }
    // u where `node` is u*u.
    int square(int node) const {
        return is(node, OP_mul) && argument(node, 0) == argument(node, 1) ? argument(node, 0) : NONE;
    }

    void recognize(int i);
    void share();
    void share(const std::vector<std::pair<int, int>>& family, int part, bool part_is_member);
    void count_uses();
    void fuse_arithmetic(int i);
    void visit(int node, std::vector<char>& seen, std::vector<int>& order) const;
};

// Pairs of operations that are one: in place, so that the numbers of nodes stay.
void Compiler::recognize(int i) {
    int a = argument(i, 0), b = argument(i, 1);
    switch (nodes_[i].op) {
        case OP_where:
            for (int which : {0, 1, 2})
                if (is(a, OP_lt + which))
                    return become(i, OP_where_lt + which, argument(a, 0), argument(a, 1), b, argument(i, 2));
            break;
        case OP_exp:
            if (is(a, OP_neg) && square(argument(a, 0)) != NONE) become(i, OP_gauss, square(argument(a, 0)));
            if (is(a, OP_mul))
                for (int side : {0, 1})
                    if (is_value(argument(a, side), -0.5) && square(argument(a, 1 - side)) != NONE)
                        return become(i, OP_gauss_half, square(argument(a, 1 - side)));
            break;
        case OP_tanh:
            if (is(a, OP_softplus)) become(i, OP_tanh_softplus, argument(a, 0));
            break;
        case OP_sigmoid:
            if (is(a, OP_neg)) become(i, OP_sigmoid_minus, argument(a, 0));
            break;
        case OP_mul:
            if (a == b && is(a, OP_div) && is_value(argument(a, 0), 1.0) && is(argument(a, 1), OP_cosh))
                become(i, OP_sech_squared, argument(argument(a, 1), 0));
            break;
        default:
            break;
    }
}

// Where several functions of one argument need the same part, the part becomes a node of its own.
void Compiler::share() {
    share({{OP_sigmoid, OP_sigmoid_of},
           {OP_sigmoid_minus, OP_sigmoid_minus_of},
           {OP_softplus, OP_softplus_of},
           {OP_logsigmoid, OP_logsigmoid_of},
           {OP_tanh_softplus, OP_tanh_softplus_of}},
          OP_decay, false);
    share({{OP_erf, OP_erf_of}, {OP_erfc, OP_erfc_of}}, OP_gauss, true);
    share({{OP_ndtr, OP_ndtr_of}}, OP_gauss_half, true);
    share({{OP_expm1, OP_expm1_of}}, OP_exp, true);
    share({{OP_sinh, OP_sinh_of}, {OP_cosh, OP_cosh_of}}, OP_half_growth, false);
    share({{OP_tanh, OP_tanh_of}, {OP_sech_squared, OP_sech_squared_of}}, OP_double_decay, false);
}

void Compiler::share(const std::vector<std::pair<int, int>>& family, int part, bool part_is_member) {
    std::map<int, std::vector<int>> members;
    std::map<int, int> parts;
    const int count = static_cast<int>(nodes_.size());
    for (int i = inputs_; i < count; i++) {
        if (nodes_[i].uses == 0) continue;
        if (part_is_member && nodes_[i].op == part) parts.try_emplace(argument(i, 0), i);
        for (auto [whole, rest] : family)
            if (nodes_[i].op == whole) members[argument(i, 0)].push_back(i);
    }
    for (auto& [u, nodes] : members) {
        auto known = parts.find(u);
        if (known == parts.end() && nodes.size() < 2) continue;
        int shared = known != parts.end() ? known->second : make(part, u);
        for (int node : nodes)
            for (auto [whole, rest] : family)
                if (nodes_[node].op == whole) {
                    become(node, rest, u, shared);
                    break;
                }
    }
}

void Compiler::count_uses() {
    for (Node& node : nodes_) node.uses = 0;
    std::vector<char> seen(nodes_.size(), 0);
    std::vector<int> order;
    for (int output : outputs_) {
        nodes_[output].uses++;
        visit(output, seen, order);
    }
    for (int node : order)
        for (int i = 0; i < arity(nodes_[node].op); i++) nodes_[argument(node, i)].uses++;
}

// 0 to 2 for add, sub and mul, NONE for anything else.
int kind(int op) { return op == OP_add ? 0 : op == OP_sub ? 1 : op == OP_mul ? 2 : NONE; }

// Up to three additions, subtractions and multiplications in one step, where no other step needs those between.
void Compiler::fuse_arithmetic(int i) {
    int q = kind(nodes_[i].op);
    if (q == NONE || nodes_[i].uses == 0 || nodes_[i].absorbed) return;
    auto inner = [&](int node) {
        return node >= inputs_ && nodes_[node].uses == 1 && !nodes_[node].absorbed && kind(nodes_[node].op) != NONE;
    };
    int a = argument(i, 0), b = argument(i, 1);
    if (inner(a) && inner(b) && a != b) {
        int p = kind(nodes_[a].op), r = kind(nodes_[b].op);
        nodes_[a].absorbed = nodes_[b].absorbed = true;
        return become(i, OP_tree + p * 9 + q * 3 + r, argument(a, 0), argument(a, 1), argument(b, 0), argument(b, 1));
    }
    if (!inner(a) && !inner(b)) return;
    // The inner operation stands first; a subtraction from it is then reversed.
    auto first = [&](int node, int& code) {
        int x = argument(node, 0), y = argument(node, 1);
        code = kind(nodes_[node].op);
        if (inner(x)) return std::pair(x, y);
        if (code == 1) code = 3;
        return std::pair(y, x);
    };
    int outer_code, inner_code;
    auto [middle, rest] = first(i, outer_code);
    nodes_[middle].absorbed = true;
    if (inner(argument(middle, 0)) || inner(argument(middle, 1))) {
        auto [deepest, between] = first(middle, inner_code);
        nodes_[deepest].absorbed = true;
        int code = OP_chain3 + kind(nodes_[deepest].op) * 16 + inner_code * 4 + outer_code;
        return become(i, code, argument(deepest, 0), argument(deepest, 1), between, rest);
    }
    become(i, OP_chain2 + kind(nodes_[middle].op) * 4 + outer_code, argument(middle, 0), argument(middle, 1), rest);
}

// Arguments before what uses them.
void Compiler::visit(int root, std::vector<char>& seen, std::vector<int>& order) const {
    std::vector<std::pair<int, int>> stack{{root, 0}};
    if (seen[root]) return;
    seen[root] = 1;
    while (!stack.empty()) {
        auto& [node, next] = stack.back();
        if (next < arity(nodes_[node].op)) {
            int child = argument(node, next++);
            if (!seen[child]) {
                seen[child] = 1;
                stack.push_back({child, 0});
            }
        } else {
            order.push_back(node);
            stack.pop_back();
        }
    }
}

Bytecode Compiler::finish() {
    Bytecode code;
    code.inputs = inputs_;
    code.outputs = static_cast<int>(outputs_.size());
    std::vector<char> seen(nodes_.size(), 0);
    std::vector<int> order;
    for (int output : outputs_) visit(output, seen, order);
    std::vector<int> slot(nodes_.size(), NONE), last(nodes_.size(), NONE), output_of(nodes_.size(), NONE);
    for (std::size_t i = 0; i < nodes_.size(); i++) {
        if (nodes_[i].op == OP_input) slot[i] = static_cast<int>(i);
        if (nodes_[i].op == OP_const && seen[i]) {
            slot[i] = code.inputs + code.outputs + static_cast<int>(code.constants.size());
            code.constants.push_back(nodes_[i].value);
        }
    }
    const int first = code.inputs + code.outputs + static_cast<int>(code.constants.size());
    for (int k = 0; k < code.outputs; k++) {
        int node = outputs_[k];
        if (slot[node] == NONE && output_of[node] == NONE) output_of[node] = k;
    }
    for (std::size_t p = 0; p < order.size(); p++)
        for (int i = 0; i < arity(nodes_[order[p]].op); i++) last[argument(order[p], i)] = static_cast<int>(p);
    std::vector<int> free;
    for (std::size_t p = 0; p < order.size(); p++) {
        Node& node = nodes_[order[p]];
        if (node.op == OP_input || node.op == OP_const) continue;
        Step step{static_cast<int16_t>(node.op), 0, 0, 0, 0, 0};
        int16_t* places[] = {&step.a, &step.b, &step.c, &step.d};
        for (int i = 0; i < arity(node.op); i++) {
            int a = node.arguments[i];
            *places[i] = static_cast<int16_t>(slot[a]);
            if (last[a] == static_cast<int>(p) && slot[a] >= first) {
                free.push_back(slot[a]);
                last[a] = NONE;
            }
        }
        if (output_of[order[p]] != NONE) {
            slot[order[p]] = code.inputs + output_of[order[p]];
        } else if (!free.empty()) {
            slot[order[p]] = free.back();
            free.pop_back();
        } else {
            slot[order[p]] = first + code.temporaries++;
        }
        step.y = static_cast<int16_t>(slot[order[p]]);
        code.steps.push_back(step);
    }
    for (int k = 0; k < code.outputs; k++) {
        int from = slot[outputs_[k]], to = code.inputs + k;
        if (from != to)
            code.steps.push_back({OP_copy, static_cast<int16_t>(to), static_cast<int16_t>(from), 0, 0, 0});
    }
    return code;
}

}  // namespace

Bytecode compile(int inputs, const std::vector<Source>& sources, const std::vector<int>& outputs, bool fuse) {
    Compiler compiler(inputs, sources, outputs);
    if (fuse) compiler.fuse();
    return compiler.finish();
}

}  // namespace symact
