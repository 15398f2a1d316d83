// The compiler of bytecode: orders the steps and gives out slots; `fuse` does the clever part.
#include "bytecode.h"

#include <cmath>
#include <utility>

#include "graph.h"

namespace symact {

int Graph::constant(double value) {
    for (int i = 0; i < size(); i++)
        if (is_value(i, value) && std::signbit(nodes[i].value) == std::signbit(value)) return i;
    nodes.push_back(Node{OP_const, {NONE, NONE, NONE, NONE, NONE}, value});
    return size() - 1;
}

void Graph::count_uses() {
    for (Node& node : nodes) node.uses = 0;
    std::vector<char> seen(nodes.size(), 0);
    std::vector<int> order;
    for (int output : outputs) {
        nodes[output].uses++;
        visit(output, seen, order);
    }
    for (int node : order)
        for (int i = 0; i < arity(nodes[node].op); i++) nodes[argument(node, i)].uses++;
}

void Graph::visit(int root, std::vector<char>& seen, std::vector<int>& order) const {
    if (seen[root]) return;
    std::vector<std::pair<int, int>> stack{{root, 0}};
    seen[root] = 1;
    while (!stack.empty()) {
        auto& [node, next] = stack.back();
        if (next < arity(nodes[node].op)) {
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

namespace {

class Slots {
public:
    Slots(const Graph& graph, Bytecode& code) : graph_(graph), code_(code) {
        std::vector<char> seen(graph.nodes.size(), 0);
        for (int output : graph.outputs) graph.visit(output, seen, order_);
        slot_.assign(graph.nodes.size(), NONE);
        last_ = output_ = seconds_ = slot_;
        fixed(seen);
        for (std::size_t p = 0; p < order_.size(); p++) {
            if (graph.is(order_[p], OP_second)) seconds_[graph.argument(order_[p], 0)] = order_[p];
            for (int i = 0; i < arity(graph.nodes[order_[p]].op); i++)
                last_[graph.argument(order_[p], i)] = static_cast<int>(p);
        }
    }

    void assign() {
        for (std::size_t p = 0; p < order_.size(); p++) {
            const Node& node = graph_.nodes[order_[p]];
            if (node.op == OP_input || node.op == OP_const) continue;
            Step step{static_cast<int16_t>(node.op), 0, 0, 0, 0, 0, 0, 0};
            int16_t* places[] = {&step.a, &step.b, &step.c, &step.d, &step.e};
            for (int i = 0; i < arity(node.op); i++) {
                *(i < 5 ? places[i] : &step.more[i - 5]) = static_cast<int16_t>(slot_[node.arguments[i]]);
                release(node.arguments[i], static_cast<int>(p));
            }
            if (node.op == OP_second) continue;
            step.y = take(order_[p]);
            if (seconds_[order_[p]] != NONE) step.z = take(seconds_[order_[p]]);
            code_.steps.push_back(step);
        }
        for (int k = 0; k < code_.outputs; k++) {
            auto from = static_cast<int16_t>(slot_[graph_.outputs[k]]), to = static_cast<int16_t>(code_.inputs + k);
            if (from != to) code_.steps.push_back({OP_copy, to, from, 0, 0, 0, 0, 0});
        }
    }

private:
    const Graph& graph_;
    Bytecode& code_;
    int first_ = 0;
    std::vector<int> order_, slot_, last_, output_, seconds_, free_;

    // Inputs and constants have their places; outputs have theirs unless they are one of those.
    void fixed(const std::vector<char>& seen) {
        for (int i = 0; i < graph_.size(); i++) {
            if (graph_.is(i, OP_input)) slot_[i] = i;
            if (graph_.is(i, OP_const) && seen[i]) {
                slot_[i] = code_.inputs + code_.outputs + static_cast<int>(code_.constants.size());
                code_.constants.push_back(graph_.nodes[i].value);
            }
        }
        first_ = code_.inputs + code_.outputs + static_cast<int>(code_.constants.size());
        for (int k = 0; k < code_.outputs; k++) {
            int node = graph_.outputs[k];
            if (slot_[node] == NONE && output_[node] == NONE) output_[node] = k;
        }
    }

    // Kernels read an element of all arguments before they write it, so a slot may be both.
    void release(int node, int position) {
        if (last_[node] != position || slot_[node] < first_) return;
        free_.push_back(slot_[node]);
        last_[node] = NONE;
    }

    int16_t take(int node) {
        if (output_[node] != NONE) {
            slot_[node] = code_.inputs + output_[node];
        } else if (!free_.empty()) {
            slot_[node] = free_.back();
            free_.pop_back();
        } else {
            slot_[node] = first_ + code_.temporaries++;
        }
        return static_cast<int16_t>(slot_[node]);
    }
};

}  // namespace

Bytecode compile(int inputs, const std::vector<Source>& sources, const std::vector<int>& outputs, bool fused) {
    Graph graph{inputs, outputs, {}};
    for (int i = 0; i < inputs; i++) graph.nodes.push_back(Node{OP_input, {NONE, NONE, NONE, NONE, NONE}});
    for (const Source& s : sources) {
        int a = s.arguments[0], b = s.arguments[1];
        // Of equal arguments the first is given, so that max(-0, 0) is -0 as in PyTorch: a constant stands second.
        if ((s.op == OP_max || s.op == OP_min) && graph.is(a, OP_const)) std::swap(a, b);
        graph.nodes.push_back(Node{s.op, {a, b, s.arguments[2], NONE, NONE}, s.value});
    }
    if (fused) fuse(graph);
    Bytecode code;
    code.inputs = inputs;
    code.outputs = static_cast<int>(outputs.size());
    Slots(graph, code).assign();
    return code;
}

}  // namespace symact
