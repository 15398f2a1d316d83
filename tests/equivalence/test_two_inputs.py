"""Functions of two inputs: the class of a rewrite is that of the original, unequal ones stay apart, halves may change
places where a grammar says so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symact.equivalence import FunctionIndex, enumerate_classes
from symact.equivalence.engine.dense_comparison import DenseComparison
from symact.equivalence.index.function_index import exchanged
from symact.equivalence.numeric.samples import Line, SampleGrid, sample_points, scattered
from symact.equivalence.shorter import shorter
from symact.equivalence.terms import TermGraph
from symact.errors import GrammarError, InputError
from symact.expr.grammar import Grammar
from symact.expr.operators import NO_GRAMMAR
from symact.expr.tree import G_LEAF, X_LEAF, Expr, parse
from symact.program.loading import load_grammar, parse_grammar

TEXT = """
name = "halves"
inputs = ["x", "g"]
[parameters]
beta = { init = 1.0 }
[unary]
zero = "0"
one = "1"
identity = "x"
negative = "-x"
scale = "beta*x"
log = "log(x)"
relu = "relu(x)"
tanh = "tanh(x)"
[binary]
add = "a + b"
mul = "a*b"
max = "max(a, b)"
sub = "a - b"
[spaces]
flat = ["binary(x, g)", "binary(unary(x), unary(g))", "binary(unary(g), unary(x))"]
[identity]
interval = [-5, 5]
"""
GRAMMAR, SYMMETRIC = parse_grammar(TEXT), parse_grammar(TEXT + "symmetric_inputs = true\n")
GATES = load_grammar("gates")


def made(name: str, *arguments: Expr) -> Expr:
    return Expr(GRAMMAR.operators[name], arguments)


def trees(size: int = 5) -> st.SearchStrategy[Expr]:
    def larger(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
        unary = st.builds(lambda o, a: Expr(o, (a,)), st.sampled_from(GRAMMAR.of_kind("unary")), inner)
        binary = st.builds(lambda o, a, b: Expr(o, (a, b)), st.sampled_from(GRAMMAR.of_kind("binary")), inner, inner)
        return unary | binary

    return st.recursive(st.sampled_from([X_LEAF, G_LEAF]), larger, max_leaves=size)


def rewrites(tree: Expr, other: Expr) -> list[Expr]:
    """What is the same function as a tree; `other` has to be defined everywhere."""
    found = [
        made("identity", tree),
        made("add", made("zero", other), tree),
        made("mul", tree, made("one", other)),
        made("negative", made("negative", tree)),
        made("max", tree, tree),
        made("sub", tree, made("zero", other)),
    ]
    name, arguments = tree.operator.name, tree.arguments
    if name in ("add", "mul", "max"):
        found.append(made(name, arguments[1], arguments[0]))
    if name == "mul" and arguments[1].operator.name in ("add", "sub"):
        parts = [made("mul", arguments[0], part) for part in arguments[1].arguments]
        found.append(made(arguments[1].operator.name, *parts))
    if name == "sub":
        found.append(made("negative", made("sub", arguments[1], arguments[0])))
    return found


class TestRewrites:
    @settings(max_examples=150, deadline=None)
    @given(tree=trees(), data=st.data())
    def test_one_step_anywhere_keeps_the_class(self, tree, data):
        places = list(tree.walk())
        position = data.draw(st.integers(0, len(places) - 1))
        other = data.draw(st.sampled_from([X_LEAF, G_LEAF, made("tanh", made("mul", X_LEAF, G_LEAF))]))
        step = data.draw(st.sampled_from(rewrites(places[position], other)))
        index = FunctionIndex(GRAMMAR)
        assert index.add(tree) == index.add(tree.replaced(position, step))

    @settings(max_examples=80, deadline=None)
    @given(trees())
    def test_an_exchange_of_inputs_is_the_same_function_where_the_grammar_says_so(self, tree):
        index = FunctionIndex(SYMMETRIC)
        assert index.add(tree) == index.add(exchanged(tree))
        assert exchanged(exchanged(tree)) == tree

    def test_without_that_only_symmetric_functions_keep_their_class(self):
        index = FunctionIndex(GRAMMAR)
        for text, symmetric in (("mul(x,g)", True), ("mul(tanh(x),g)", False), ("sub(x,g)", False), ("max(g,x)", True)):
            tree = parse(text, GRAMMAR)
            assert (index.add(tree) == index.add(exchanged(tree))) is symmetric, text


class TestSpaces:
    @pytest.mark.parametrize("grammar", [GRAMMAR, SYMMETRIC], ids=["as it is", "symmetric"])
    def test_the_index_has_the_same_classes_as_the_table(self, grammar):
        table = enumerate_classes(grammar, "flat")
        index = FunctionIndex(grammar)
        assert [index.add(e) for e in grammar.space("flat")] == table["class_id"].to_pylist()
        assert [index.domain(e) for e in grammar.space("flat")] == table["domain"].to_pylist()

    def test_exchanged_classes_become_one_and_nothing_else_does(self):
        plain, symmetric = (enumerate_classes(g, "flat")["class_id"].to_pylist() for g in (GRAMMAR, SYMMETRIC))
        expressions = list(GRAMMAR.space("flat"))
        index = FunctionIndex(GRAMMAR)
        other = [index.add(exchanged(e)) for e in expressions]
        own = [index.add(e) for e in expressions]
        together = {frozenset(pair) for pair in zip(own, other, strict=True)}
        first = dict(zip(own, symmetric, strict=True))
        assert all(len({first[n] for n in pair if n in first}) == 1 for pair in together)
        assert len(set(symmetric)) == len({min(p, q) for p, q in zip(own, other, strict=True)})
        assert len(set(plain)) == len(set(own)) > len(set(symmetric))

    def test_the_published_gates_are_the_classes_of_what_they_are_made_of(self):
        table = enumerate_classes(GATES, "gates")
        known = dict(zip(table["expression"].to_pylist(), table["class_id"].to_pylist(), strict=True))
        for gate, same in [
            ("swiglu(x,g)", "mul(swish(x),identity(g))"),
            ("glu(x,g)", "mul(sigmoid(x),identity(g))"),
            ("reglu(x,g)", "mul(relu(x),identity(g))"),
            ("geglu(x,g)", "mul(gelu(x),identity(g))"),
            ("bilinear(x,g)", "mul(x,g)"),
            ("gtu(x,g)", "gate(identity(x),tanh(g))"),
        ]:
            assert known[gate] == known[same], gate
        assert known["geglu_tanh(x,g)"] != known["geglu(x,g)"]
        assert known["clipped_swiglu(x,g)"] != known["gpt_oss(x,g)"]

    def test_the_published_float32_rule_takes_both_inputs(self):
        table = enumerate_classes(GATES, "gates", equivalence="float32")
        known = dict(zip(table["expression"].to_pylist(), table["class_id"].to_pylist(), strict=True))
        assert known["mul(x,g)"] == known["bilinear(x,g)"] != known["mul(identity(x),relu(g))"]


# Of two inputs; beside each what float64, few points or one line would miss.
UNEQUAL = {
    "a corner of the box": ("min(x, g)", "min(x, min(g, 9.5))"),
    "a narrow strip": ("max(tanh(x), g)", "max(tanh(x), g + where(abs(g - 0.3) < 1e-4, 1e-3, 0))"),
    "along a curve": ("max(x, g)", "max(x, g) + where(x > g and x < g + 0.05, 1e-6, 0)"),
    "beyond rounding": ("sigmoid(min(gelu(x), 7))*g", "sigmoid(gelu(min(x, 7)))*g"),
    "hidden by a sum": ("sigmoid(exp(-min(x, 7)**2))*relu(g)", "sigmoid(exp(-max(min(x, 7), -7)**2))*relu(g)"),
    "hidden by a large argument": ("tanh(40 + x*x)*g", "g"),
    "the other input": ("x", "g"),
    "exchanged": ("x*sigmoid(g)", "g*sigmoid(x)"),
    "where it is defined": ("log(x*g)", "log(x) + log(g)"),
    "a quotient": ("x*g/g", "x*relu(g)/relu(g)"),
    "a sign": ("abs(x - g)", "x - g"),
    "small": ("x*g*(1 + 1e-9)", "x*g"),
    "a parameter": ("x*sigmoid(beta*g)", "x*sigmoid(beta*x)"),
}
EQUAL = {
    "the sum of both": ("max(x, g) + min(x, g)", "x + g"),
    "polarization": ("(x + g)**2 - (x - g)**2", "4*x*g"),
    "gates": ("x*sigmoid(x)*g", "g*swish(x)"),
    "tied": ("max(x - g, g - x)", "abs(g - x)"),
    "where it is defined": ("log(exp(x)*exp(g))", "x + g"),
    "addition theorem": ("sin(x + g)", "sin(x)*cos(g) + cos(x)*sin(g)"),
    "a parameter": ("beta*(x + g)", "beta*x + beta*g"),
    "a quotient": ("x*g/g", "x"),
}
PAIRS = parse_grammar(
    'inputs = ["x", "g"]\n[parameters]\nbeta = {}\n[unary]\nf = "x"\n[identity]\ninterval = [-10, 10]'
)


@pytest.mark.parametrize(("first", "second"), UNEQUAL.values(), ids=UNEQUAL)
def test_unequal_functions_are_apart(first: str, second: str):
    index = FunctionIndex(PAIRS)
    assert index.add(parse(first, PAIRS)) != index.add(parse(second, PAIRS))


@pytest.mark.parametrize(("first", "second"), EQUAL.values(), ids=EQUAL)
def test_equal_functions_are_one(first: str, second: str):
    index = FunctionIndex(PAIRS)
    assert index.add(parse(first, PAIRS)) == index.add(parse(second, PAIRS))


def nearly_equal(leaf: str) -> Grammar:
    inputs = '["x"]' if leaf == "x" else '["x", "g"]'
    return parse_grammar(
        f'inputs = {inputs}\n[unary]\nid = "x"\ncap = "min(x, 7)"\nclip = "max(min(x, 7), -7)"\ngelu = "gelu(x)"\n'
        f'gauss = "exp(-x**2)"\nrelu = "relu(x)"\n[binary]\ngate = "sigmoid(a)*b"\n'
        f'[spaces]\nall = ["binary(unary(unary(x)), unary({leaf}))"]\n[identity]\ninterval = [-10, 10]'
    )


@pytest.mark.parametrize("leaf", ["x", "g"])
def test_what_is_made_of_nearly_equal_terms_is_compared_where_these_differ(leaf: str):
    grammar = nearly_equal(leaf)
    table = enumerate_classes(grammar)
    known = dict(zip(table["expression"].to_pylist(), table["class_id"].to_pylist(), strict=True))
    assert known[f"gate(cap(gelu(x)),id({leaf}))"] != known[f"gate(gelu(cap(x)),id({leaf}))"]
    index = FunctionIndex(grammar)
    assert [index.add(e) for e in grammar.space()] == table["class_id"].to_pylist()


def test_sample_points_fill_the_square_and_lie_on_no_diagonal():
    for count in (64, 256, 1024):
        x = sample_points(-5.0, 5.0, count)
        g = scattered(x)
        assert sorted(g) == sorted(x)
        assert not (g == x).any()
        # Eight by eight cells of equal share, each with about its part of the points.
        cells = np.histogram2d(np.argsort(np.argsort(x)), np.argsort(np.argsort(g)), bins=8)[0]
        assert cells.min() >= count / 64 - 1
        assert cells.max() <= count / 64 + 1


def test_a_line_runs_through_the_box():
    graph = TermGraph(2)
    base = SampleGrid(graph, sample_points(-5.0, 5.0))
    assert base.values.shape == (2, 128)
    assert (graph.term(0), graph.term(1)) == ((-1, ()), (-2, ()))
    for line in DenseComparison(base, (-5.0, 5.0)).grids()[1:]:
        assert np.abs(line.inputs).max() <= 5
        assert np.ptp(line.inputs, axis=1).max() > 4
    np.testing.assert_array_equal(Line((1.0, 2.0), (3.0, 0.0)).at(np.array([0.0, 1.0])), [[1.0, 3.0], [3.0, 3.0]])


def test_idle_parts_are_left_out_of_what_people_read():
    assert str(shorter(parse("add(mul(x,g),zero(g))", GRAMMAR))) == "mul(x,g)"


def test_who_knows_one_input_says_so():
    index = FunctionIndex(parse_grammar('[unary]\nf = "tanh(x)"'))
    with pytest.raises(InputError, match="x\\*g is a function of x and g; a grammar of one input takes"):
        index.add(parse("x*g"))
    assert FunctionIndex(NO_GRAMMAR).add(parse("x*g")) == 0
    with pytest.raises(GrammarError, match=r"5:20: \[identity.symmetric_inputs\] there is one input"):
        parse_grammar('\n[unary]\nf = "x"\n[identity]\nsymmetric_inputs = true')
