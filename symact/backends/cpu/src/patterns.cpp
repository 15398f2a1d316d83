#include "patterns.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

namespace symact {
namespace {

const char* const NAMES[] = {
#define X(name, function) #name,
    SYMACT_UNARY(X) SYMACT_BINARY(X) "where",
    SYMACT_UNARY_MORE(X)
#undef X
#define X(name, function) "times_" #name,
    SYMACT_TIMES(X)
#undef X
#define X(name, function) #name,
    SYMACT_CHOICE(X)
#undef X
    "clip", "where_inside", "where_inside_times", "clip_line", "clip_line_pair",
#define X(name, function) #name,
    SYMACT_ANGLES(X) SYMACT_IN_TWO(X) SYMACT_SCALED(X)
#undef X
    "scaled_pair",
#define X(name, function) "times_" #name,
    SYMACT_ANGLES(X)
#undef X
#define X(first, second, function) #function,
    SYMACT_PAIRS(X)
#undef X
#define X(first, second, function) "gate_" #function,
    SYMACT_PAIRS(X)
#undef X
#define X(first, second, function) "clip_times_" #function,
    SYMACT_GATES(X)
#undef X
#define X(first, second, function) "clip_gate_" #function,
    SYMACT_GATES(X)
#undef X
};

bool commutes(int op) {
    return op == OP_add || op == OP_mul || op == OP_max || op == OP_min || op == OP_product_rest || op == OP_sum_rest;
}

}  // namespace

int operation_number(const std::string& name) {
    auto place = std::find(std::begin(NAMES), std::end(NAMES), name);
    return place == std::end(NAMES) ? NONE : static_cast<int>(place - std::begin(NAMES));
}

const char* operation_name(int op) {
    return op < OP_chain2 ? NAMES[op] : op < OP_tree ? "chain2" : op < OP_chain3 ? "tree" : "chain3";
}

Pattern::Pattern(const char* text) { *this = read(text); }

Pattern Pattern::read(const char*& text) {
    Pattern p;
    while (*text == ' ' || *text == ',') text++;
    if (std::isdigit(*text) || *text == '-') {
        char* end;
        p.op_ = OP_const;
        p.number_ = std::strtod(text, &end);
        text = end;
        return p;
    }
    std::string name;
    while (std::isalnum(*text) || *text == '_') name += *text++;
    if (*text != '(') {
        p.letter_ = name[0];
        return p;
    }
    p.op_ = operation_number(name);
    for (text++; *text != ')';) {
        p.arguments_.push_back(read(text));
        while (*text == ' ' || *text == ',') text++;
    }
    text++;
    return p;
}

bool Pattern::match(const Graph& graph, int node, int (&found)[26]) const {
    if (letter_) {
        int& known = found[letter_ - 'a'];
        if (known == NONE) known = node;
        return known == node;
    }
    if (op_ == OP_const) return graph.is_value(node, number_);
    if (!graph.is(node, op_)) return false;
    int saved[26];
    std::copy(std::begin(found), std::end(found), saved);
    for (int turn = 0; turn < (commutes(op_) ? 2 : 1); turn++) {
        bool good = true;
        for (std::size_t i = 0; good && i < arguments_.size(); i++)
            good = arguments_[i].match(graph, graph.argument(node, static_cast<int>(turn ? 1 - i : i)), found);
        if (good) return true;
        std::copy(saved, saved + 26, std::begin(found));
    }
    return false;
}

}  // namespace symact
