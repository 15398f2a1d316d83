"""Gates: functions of two tensors as modules, under everything that torch does with modules."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from symact import Activation, Gate, InputError, load_grammar, parse_grammar
from symact.activation.module import compile as compile_expression

GATES = load_grammar("gates")
LEARNED = parse_grammar(
    'inputs = ["x", "g"]\n[parameters]\nbeta = { init = 1.5, per = "channel" }\n[unary]\nf = "x*sigmoid(beta*x)"\n'
    '[binary]\nmul = "a*b"'
)


def swiglu(x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    return F.silu(x) * g


def both(*shape: int, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return tuple(torch.randn(*shape).to(dtype).requires_grad_() for _ in range(2))


@pytest.mark.parametrize("text", ["x*sigmoid(x)*g", "swiglu(x,g)", "mul(swish(x),identity(g))", "mul(swish(x),g)"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_values_and_both_gradients(text, dtype):
    x, g = both(5, 7, dtype=dtype)
    y, wanted = Gate(text, GATES)(x, g), swiglu(x.double(), g.double())
    assert y.dtype == dtype
    tolerance = {torch.float32: 1e-6, torch.float64: 1e-14, torch.bfloat16: 1e-2}[dtype]
    torch.testing.assert_close(y.double(), wanted, rtol=tolerance, atol=tolerance)
    grad = torch.randn_like(y)
    found = torch.autograd.grad(y, (x, g), grad)
    exact = torch.autograd.grad(wanted, (x, g), grad.double())
    for own, other in zip(found, exact, strict=True):
        torch.testing.assert_close(own, other.to(dtype), rtol=tolerance, atol=tolerance)


def test_derivatives_of_derivatives_and_forward_mode():
    gate = Gate("tanh(x)*softplus(g) + sin(x*g)")
    inputs = [t.double().detach().requires_grad_() for t in both(3, 2)]
    assert torch.autograd.gradgradcheck(gate, inputs, check_fwd_over_rev=True)
    assert torch.autograd.gradcheck(gate, inputs, check_forward_ad=True, check_batched_grad=True)


@pytest.mark.parametrize("shapes", [((3, 1), (1, 5)), ((4, 3, 2), (2,)), ((), (3,)), ((0, 4), (4,))])
def test_shapes_broadcast_and_gradients_are_summed_to_them(shapes):
    x, g = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes)
    y, wanted = Gate("x*sigmoid(x)*g")(x, g), swiglu(x, g)
    torch.testing.assert_close(y, wanted)
    for own, other in zip(torch.autograd.grad(y.sum(), (x, g)), torch.autograd.grad(wanted.sum(), (x, g)), strict=True):
        torch.testing.assert_close(own, other)


def test_a_gate_of_x_alone_has_the_shape_of_both_and_no_gradient_in_g():
    x, g = torch.randn(3, 1, requires_grad=True), torch.randn(1, 4, requires_grad=True)
    y = Gate("tanh(x)")(x, g)
    torch.testing.assert_close(y, torch.tanh(x).expand(3, 4))
    slopes = torch.autograd.grad(y.sum(), (x, g))
    torch.testing.assert_close(slopes[0], 4 / torch.cosh(x) ** 2)
    assert not slopes[1].any()


def test_dtypes_are_promoted_and_whole_numbers_become_floats():
    gate = Gate("x*g")
    kinds = [torch.ones(shape, dtype=dtype) for shape in ((), (2,)) for dtype in (torch.bfloat16, torch.float64)]
    for x, g in itertools.product([*kinds, torch.ones(2)], repeat=2):
        assert gate(x, g).dtype == torch.mul(x, g).dtype
    assert gate(torch.arange(3), torch.ones(3)).dtype == torch.float32


def test_packed_takes_the_halves_of_the_last_dimension_or_every_other_element():
    gate, h = Gate("x*sigmoid(x)*g"), torch.randn(3, 4, 10, requires_grad=True)
    torch.testing.assert_close(gate.packed(h), swiglu(h[..., :5], h[..., 5:]))
    torch.testing.assert_close(gate.packed(h, interleaved=True), swiglu(h[..., ::2], h[..., 1::2]))
    (own,) = torch.autograd.grad(gate.packed(h).sum(), h)
    (other,) = torch.autograd.grad(swiglu(h[..., :5], h[..., 5:]).sum(), h)
    torch.testing.assert_close(own, other)
    with pytest.raises(InputError, match="two halves"):
        gate.packed(torch.randn(3, 5))


def test_parameters_per_channel_lie_along_the_last_dimension():
    gate = Gate("mul(f(x),g)", LEARNED)
    x, g = both(2, 3, 4)
    gate(x, g)
    assert gate.beta.shape == (4,)
    with torch.no_grad():
        gate.beta.copy_(torch.arange(4.0))
    torch.testing.assert_close(gate(x, g), x * torch.sigmoid(torch.arange(4.0) * x) * g)
    gate(x, g).sum().backward()
    assert gate.beta.grad.shape == (4,)
    assert gate.beta.grad[0] != 0


def test_transforms_see_through_it():
    gate = Gate("x*sigmoid(x)*g")
    x, g = (t.detach() for t in both(4, 3))
    torch.testing.assert_close(torch.func.vmap(gate)(x, g), swiglu(x, g))
    torch.testing.assert_close(torch.func.vmap(gate, (0, None))(x, g[0]), swiglu(x, g[0]))
    slopes = torch.func.vmap(torch.func.grad(lambda a, b: gate(a, b).sum(), (0, 1)))(x, g)
    exact = torch.func.vmap(torch.func.grad(lambda a, b: swiglu(a, b).sum(), (0, 1)))(x, g)
    for own, other in zip(slopes, exact, strict=True):
        torch.testing.assert_close(own, other)


class GatedLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.gate, self.act = nn.Linear(3, 4), nn.Linear(3, 4), Gate("x*sigmoid(x)*g")

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        return self.act(self.gate(h), self.up(h))


def test_a_layer_is_compiled_exported_traced_and_copied():
    layer, h = GatedLayer(), torch.randn(5, 3)
    wanted = swiglu(layer.gate(h), layer.up(h))
    wanted.sum().backward()
    before = layer.gate.weight.grad.clone()
    layer.zero_grad()
    compiled = torch.compile(layer, backend="aot_eager")
    torch.testing.assert_close(compiled(h), wanted)
    compiled(h).sum().backward()
    torch.testing.assert_close(layer.gate.weight.grad, before)
    exported = torch.export.export(layer, (h,)).module()
    torch.testing.assert_close(exported(h), wanted)
    traced = torch.fx.symbolic_trace(layer)
    assert "self.act(" in traced.code
    torch.testing.assert_close(traced(h), wanted)
    torch.testing.assert_close(copy.deepcopy(layer)(h), wanted)
    torch.testing.assert_close(torch.fx.symbolic_trace(layer.act)(h, h), swiglu(h, h))


def test_compile_gives_a_function_of_two_tensors():
    x, g = both(4)
    function = compile_expression("swiglu(x,g)", GATES)
    torch.testing.assert_close(function(x, g), swiglu(x, g))
    with pytest.raises(InputError, match=r"function of x and g; got 1 tensors"):
        function(x)
    with pytest.raises(InputError, match=r"function of x; got 2 tensors"):
        compile_expression("tanh(x)")(x, g)
    with pytest.raises(InputError, match="jet takes functions of x alone"):
        function.jet(x, 2)


def test_what_a_gate_says_of_itself():
    gate = Gate("mul(f(x),g)", LEARNED, channels=2)
    assert str(gate) == "Gate(mul(f(x),g), channels=2)"
    assert gate.constants() == {"beta": [1.5, 1.5]}
    assert "def forward(x, g, beta)" in gate.source()
    one = Gate("mul(f(x),g)", LEARNED, channels=1)
    again = Gate(one.expression())
    x, g = both(4)
    torch.testing.assert_close(again(x, g), one(x, g))
    assert "<math" in one._repr_html_()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Activation("x*g"), "symact.Gate takes it"),
        (lambda: Gate("x*g")(torch.ones(2), torch.ones(3)), "do not broadcast"),
        (lambda: Gate("x*g")(torch.ones(2), 1.0), "takes a torch tensor, not float"),
        (lambda: Gate("x*g")(torch.ones(2), torch.ones(2) * 1j), "real function"),
        (
            lambda: Gate("g*x", parse_grammar('[parameters]\ng = { init = 1.0 }\n[unary]\nf = "x"')),
            "g is the second input",
        ),
    ],
)
def test_what_cannot_be_is_said_in_one_line(make, reason):
    with pytest.raises(InputError, match=reason):
        make()
