"""Functions of two inputs: a grammar says `inputs = ["x", "g"]`, and both stand at the leaves."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
import sympy

from symact.errors import FormulaError, GrammarError, InputError
from symact.expr import variation
from symact.expr.display import canonical, latex
from symact.expr.formula_text import formula_text
from symact.expr.functions import G, X
from symact.expr.mathml import mathml
from symact.expr.operators import INPUTS, NO_GRAMMAR
from symact.expr.shape import G_SHAPE, X_SHAPE, parse_shape
from symact.expr.tree import G_LEAF, X_LEAF, from_document, of_x_alone, parse, to_document, to_sympy
from symact.optimize.actions import ActionSpace
from symact.program.loading import load_grammar, parse_grammar

GATES = load_grammar("gates")
HEAD = 'inputs = ["x", "g"]\n'
SMALL = HEAD + '[unary]\np = "tanh(x)"\nq = "-x"\n[binary]\nm = "a*b"\n[spaces]\n'


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        ("swiglu(x,g)", X * G / (1 + sympy.exp(-X))),
        ("mul(swish(x),identity(g))", X * G / (1 + sympy.exp(-X))),
        ("x*sigmoid(x)*g", X * G / (1 + sympy.exp(-X))),
        ("x*\u03c3(x)\u00b7g", X * G / (1 + sympy.exp(-X))),
        ("gate(g,x)", X / (1 + sympy.exp(-G))),
        ("2x g", 2 * X * G),
        ("tanh(g)", sympy.tanh(G)),
    ],
)
def test_both_notations_read_both_inputs(text, formula):
    expr = parse(text, GATES)
    assert canonical(expr) == formula
    assert expr.inputs == INPUTS
    assert parse(str(expr), GATES) == expr
    assert pickle.loads(pickle.dumps(expr)) == expr
    assert from_document(to_document(expr, GATES), GATES) == expr


def test_a_leaf_is_one_object_and_knows_its_name():
    assert (parse("x", GATES), parse("g", GATES)) == (X_LEAF, G_LEAF)
    assert pickle.loads(pickle.dumps(G_LEAF)) is G_LEAF
    assert [leaf.inputs for leaf in (X_LEAF, G_LEAF)] == [("x",), INPUTS]
    assert parse("swish(x)", GATES).inputs == ("x",)


def test_without_a_grammar_a_formula_is_a_function_of_the_inputs_that_it_names():
    assert parse("x*g").inputs == INPUTS
    assert parse("x*tanh(x)").inputs == ("x",)
    assert parse("x*g") == parse("x*g", NO_GRAMMAR)


def test_a_grammar_of_one_input_says_how_to_have_two():
    with pytest.raises(FormulaError, match=r'unknown name \'g\'.*inputs = \["x", "g"\]'):
        parse("x*g", load_grammar("first"))


def test_a_parameter_of_a_one_input_grammar_may_be_called_g():
    grammar = parse_grammar('[parameters]\ng = { init = 2.0 }\n[unary]\nscale = "g*x"')
    for text in ("scale(x)", "g*x"):
        expr = parse(text, grammar)
        assert expr.inputs == ("x",)
        assert [p.name for p in expr.parameters] == ["g"]


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ('inputs = ["g", "x"]\n[unary]\nf = "x"', "1:10: [inputs]", 'or ["x", "g"]'),
        ('inputs = "x"\n[unary]\nf = "x"', "1:10: [inputs]", 'or ["x", "g"]'),
        ('inputs = ["x", "y"]\n[unary]\nf = "x"', "1:10: [inputs]", 'or ["x", "g"]'),
        (HEAD + '[unary]\ng = "x"', "3:1: [unary.g]", "reserved"),
        (HEAD + '[parameters]\ng = { init = 1 }\n[unary]\nf = "x"', "3:1: [parameters.g]", "reserved"),
        (HEAD + '[unary]\nf = "x*g"', "3:8: [unary.f]", "unknown name 'g'; expected x, pi"),
        ('[unary]\nf = "x"\n[spaces]\ns = ["unary(g)"]', "4:13: [spaces.s]", 'inputs = ["x", "g"]'),
        (SMALL + 's = ["tree(g)"]\n[limits]\nmax_depth = 2', "8:7: [spaces.s]", "tree(x) or tree(x, g)"),
        (
            SMALL + 's = ["tree(x, g)", "unary(g)"]\n[limits]\nmax_depth = 2',
            "8:5: [spaces.s]",
            "already holds unary(g)",
        ),
        (SMALL + 's = ["tree(x, g)", "tree(x)"]\n[limits]\nmax_depth = 2', "8:5: [spaces.s]", "already holds tree(x)"),
    ],
)
def test_errors_name_the_place(text, place, reason):
    with pytest.raises(GrammarError) as error:
        parse_grammar(text)
    assert place in str(error.value)
    assert reason in str(error.value)


def test_a_fixed_shape_has_its_inputs_where_they_are_written():
    space = parse_grammar(SMALL + 's = ["binary(g, unary(x))"]').space()
    assert list(map(str, space)) == ["m(g,p(x))", "m(g,q(x))"]
    assert parse("m(g,p(x))", space.grammar) in space
    assert parse("m(x,p(g))", space.grammar) not in space


def test_a_tree_of_both_inputs_holds_every_tree_over_either():
    limited = "\n[limits]\nmax_size = 2"
    both = [str(e) for e in parse_grammar(SMALL + 's = ["tree(x, g)"]' + limited).space()]
    assert both[:8] == ["p(x)", "p(g)", "q(x)", "q(g)", "m(x,x)", "m(x,g)", "m(g,x)", "m(g,g)"]
    space = parse_grammar(SMALL + 's = ["tree(x, g)"]' + limited).space()
    assert len(set(both)) == len(both) == space.count() == 8 + 2 * 8 + 2 * 2 * 2 * 4
    of_x = {str(e) for e in parse_grammar(SMALL + 's = ["tree(x)"]' + limited).space()}
    assert of_x == {text for text in both if "g" not in text}


def test_shapes_of_both_inputs_are_read_and_written():
    for text in ("binary(unary(x), unary(g))", "tree(x, g)", "nary(g, x, g)"):
        assert str(parse_shape(text, INPUTS)) == text
    assert [X_SHAPE.is_leaf, G_SHAPE.is_leaf, (G_SHAPE.size, G_SHAPE.depth)] == [True, True, (0, 0)]


def test_the_gates_that_ship_are_named_and_the_large_space_is_large():
    published = [str(e) for e in GATES.space("published") if e.operator.text != ""]
    assert {"glu(x,g)", "swiglu(x,g)", "geglu(x,g)", "reglu(x,g)", "bilinear(x,g)", "gpt_oss(x,g)"} <= set(published)
    large = GATES.space("large")
    assert large.count() > 100_000
    assert not any("swiglu(" in str(e) for e in itertools.islice(large, 21, None, 997))


def test_every_tree_can_be_reached_by_variation():
    space = parse_grammar(SMALL + 's = ["tree(x, g)"]\n[limits]\nmax_size = 2').space()
    generator = np.random.default_rng(0)
    expr, seen = space.sample(generator), set()
    for _ in range(4000):
        expr = variation.mutate(expr, space, generator)
        seen.add(expr)
    assert len(seen) == space.count()


@pytest.mark.parametrize("name", list(GATES.spaces))
def test_a_controller_spells_every_member(name):
    space = GATES.space(name)
    actions = ActionSpace(space)
    for seed in range(40):
        member = space.sample(np.random.default_rng(seed))
        spelled = actions.sequence(member)
        assert spelled is not None
        assert spelled.finished
        assert actions.expression(spelled) == member


def test_what_is_shown_names_both_inputs():
    expr = parse("swish(min(x, 7))*(max(min(g, 7), -7) + 1)")
    assert "g" in latex(expr)
    assert "['mi', 'g']" in str(mathml(expr))
    learned = parse("beta*x*g", parse_grammar(HEAD + '[parameters]\nbeta = {}\n[unary]\nf = "x"'))
    assert parse(formula_text(learned, {"beta": 0.5})) == parse("0.5*x*g")
    assert to_sympy(parse("mul(g,tanh(x))", GATES)).free_symbols == {X, G}


def test_who_takes_functions_of_x_alone_says_so():
    with pytest.raises(InputError, match="x\\*g is a function of x and g; a certificate takes functions of x alone"):
        of_x_alone(parse("x*g"), "a certificate")
    assert of_x_alone(parse("tanh(x)"), "a certificate") == parse("tanh(x)")
