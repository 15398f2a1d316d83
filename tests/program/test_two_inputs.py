"""Programs of two variables: both are tensors, both have a gradient, and parameters come after them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from symact.backends import torch_source
from symact.expr.tree import parse
from symact.program.gradient import backward, pushforward
from symact.program.loading import load_grammar, parse_grammar
from symact.program.pipeline import lower, operator_program
from symact.program.program import Operation, Program, verify

GATES = load_grammar("gates")
BETA = parse_grammar('inputs = ["x", "g"]\n[parameters]\nbeta = { init = 1.5 }\n[unary]\nf = "sigmoid(beta*x)"')


def test_variables_come_first_then_parameters_then_the_gradient():
    program = lower(parse("x*f(x)*g", BETA))
    assert (program.inputs, program.variables, program.parameters) == (("x", "g", "beta"), 2, ("beta",))
    slopes = backward(program)
    assert (slopes.inputs, slopes.variables, slopes.parameters) == (("x", "g", "beta", "grad"), 2, ("beta",))
    assert len(slopes.outputs) == 3


def test_an_expression_of_one_input_may_be_taken_as_one_of_two():
    expr = parse("swish(x)", GATES)
    assert lower(expr).inputs == ("x",)
    gate = lower(expr, 2)
    assert (gate.inputs, gate.variables) == (("x", "g"), 2)
    slopes = backward(gate)
    assert slopes.operations[slopes.outputs[1] - 3] == Operation("const", (), 0.0)


def test_operators_of_two_arguments_are_programs_of_two_variables():
    assert operator_program(GATES.operators["swiglu"]).variables == 2
    assert operator_program(GATES.operators["swish"]).variables == 1


@pytest.mark.parametrize("variables", [0, 3])
def test_the_gate_between_stages_counts_variables(variables):
    with pytest.raises(ValueError, match="cannot be variables"):
        verify(Program(("x", "g"), (), (0,), variables=variables))


def _values(program: Program, *inputs: np.ndarray) -> list[np.ndarray]:
    found = torch_source.function(program)(*map(torch.from_numpy, inputs))
    return [t.numpy() for t in (found if isinstance(found, tuple) else (found,))]


@pytest.mark.parametrize("name", [o.name for o in GATES.of_kind("binary")])
def test_both_gradients_are_those_of_differences(name):
    program = lower(parse(f"{name}(x,g)", GATES))
    generator = np.random.default_rng(3)
    x, g, grad, step = *generator.normal(scale=3.0, size=(2, 400)), generator.normal(size=400), 1e-6
    found = _values(backward(program), x, g, grad)
    (right,), (left,) = _values(program, x + step, g), _values(program, x - step, g)
    (up,), (down,) = _values(program, x, g + step), _values(program, x, g - step)
    np.testing.assert_allclose(found[0], grad * (right - left) / (2 * step), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[1], grad * (up - down) / (2 * step), rtol=1e-5, atol=1e-6)
    along = _values(pushforward(program, (0, 1)), x, g, grad, 2 * grad)[0]
    np.testing.assert_allclose(along, found[0] + 2 * found[1], rtol=1e-12, atol=1e-12)
