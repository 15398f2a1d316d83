// Patterns over graphs, written as calls: `mul(u, sigmoid(u))`. Single letters stand for any node (the same
// wherever the letter is), numbers for constants; arguments of add and mul, of their rests, of max and min match in
// either order.
#pragma once

#include <memory>
#include <string>

#include "graph.h"

namespace symact {

class Pattern {
public:
    explicit Pattern(const char* text);
    // Whether the node has this form; `found` maps letters to nodes.
    bool match(const Graph& graph, int node, int (&found)[26]) const;
    int operation() const { return op_; }

private:
    int op_ = NONE;
    char letter_ = 0;
    double number_ = 0.0;
    std::vector<Pattern> arguments_;

    Pattern() = default;
    static Pattern read(const char*& text);
};

// The number of an operation by the name in the lists of operations.h, or NONE.
int operation_number(const std::string& name);
const char* operation_name(int op);

}  // namespace symact
