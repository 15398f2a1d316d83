"""Gates: functions of two tensors as modules, under everything that torch does with modules."""

from __future__ import annotations

import copy
import itertools
import sys
import types

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.profiler import profile

from symact import Activation, Gate, InputError, load_grammar, parse_grammar
from symact.activation.module import compile as compile_expression
from symact.activation.packed import Layout, halves
from symact.activation.plan import plan
from symact.backends.cpu.kernel import JointKernel
from symact.backends.select import SELECTOR
from symact.expr.tree import parse
from symact.program.pipeline import lower

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
    torch.testing.assert_close(gate.packed(h, x_last=True), swiglu(h[..., 5:], h[..., :5]))
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


CLIPPED = "swish(min(x,7))*(max(min(g,7),-7) + 1)"
TEXTS = ["x*sigmoid(x)*g", "gelu(x)*g", CLIPPED, "tanh(x)/(1 + g**2)", "exp(x)*g", "g*g"]
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


def layouts(dtype: torch.dtype) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    torch.manual_seed(1)

    def made(*shape: int) -> torch.Tensor:
        return (3 * torch.randn(*shape)).to(dtype)

    halves = made(7, 5, 86).chunk(2, -1)
    taking_turns = made(3, 1030)
    images = [made(2, 3, 5, 4).to(memory_format=torch.channels_last) for _ in range(2)]
    return {
        "dense": (made(1000), made(1000)),
        "halves": halves,
        "long halves": made(3, 2 * 700).chunk(2, -1),
        "taking turns": (taking_turns[:, ::2], taking_turns[:, 1::2]),
        "row against column": (made(33, 1).expand(33, 40), made(1, 40).expand(33, 40)),
        "one number": (made(300), made(1).expand(300)),
        "channels last": (images[0], images[1]),
        "channels last and not": (images[0], made(2, 3, 5, 4)),
        "transposed": (made(30, 20).t(), made(30, 20).t()),
        "transposed and not": (made(30, 20).t(), made(20, 30)),
        "every third": (made(4, 90)[:, ::3], made(4, 30)),
        "three strides": (made(6, 8, 10)[::2, ::2, ::2], made(3, 4, 5)),
        "one element": (made(1, 1), made(1, 1)),
        "none": (made(0, 3), made(0, 3)),
    }


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", list(layouts(torch.float32)))
def test_every_layout_gives_what_dense_copies_give(dtype, name):
    gate = compile_expression("x*sigmoid(x)*(g + 1)")
    x, g = layouts(dtype)[name]
    grad = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).to(dtype)

    def run(x, g, grad):
        x, g = x.detach().requires_grad_(), g.detach().requires_grad_()
        y = gate(x, g)
        return y, *torch.autograd.grad(y, (x, g), grad)

    dense = run(x.contiguous(), g.contiguous(), grad)
    for found, wanted in zip(run(x, g, grad), dense, strict=True):
        assert torch.equal(found, wanted)
        assert found.shape == x.shape
    if x.numel():
        one = grad.reshape(-1)[0].expand(x.shape)
        for found, wanted in zip(run(x, g, one), run(x.contiguous(), g.contiguous(), one.contiguous()), strict=True):
            assert torch.equal(found, wanted)


def test_values_keep_the_layout_of_what_is_not_broadcast():
    gate, x = Gate("x*g"), torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    assert gate(x, x).is_contiguous(memory_format=torch.channels_last)
    assert gate(torch.ones(1, 3, 1, 1), x).is_contiguous(memory_format=torch.channels_last)
    assert gate(*torch.randn(3, 8).chunk(2, -1)).is_contiguous()


@pytest.mark.parametrize("layout", [Layout(*each) for each in itertools.product([False, True], repeat=2)])
@pytest.mark.parametrize("shape", [(8,), (3, 86), (2, 3, 1404)])
def test_packed_writes_both_gradients_into_one_tensor(layout, shape):
    gate, h = Gate("x*sigmoid(x)*g"), torch.randn(*shape, requires_grad=True)
    x, g = halves(h.detach(), layout)
    pair = [x.clone().requires_grad_(), g.clone().requires_grad_()]
    y, wanted = gate.packed(h, *layout), gate(*pair)
    assert torch.equal(y, wanted)
    grad = torch.randn_like(y)
    (own,) = torch.autograd.grad(y, h, grad, retain_graph=True)
    for half, slope in zip(halves(own, layout), torch.autograd.grad(wanted, pair, grad), strict=True):
        assert torch.equal(half, slope)
    (first,) = torch.autograd.grad(gate.packed(h, *layout), h, torch.ones_like(y), create_graph=True)
    (second,) = torch.autograd.grad((first**2).sum(), h)
    by_halves = swiglu(*halves(h, layout))
    (first,) = torch.autograd.grad(by_halves, h, torch.ones_like(y), create_graph=True)
    (exact,) = torch.autograd.grad((first**2).sum(), h)
    torch.testing.assert_close(second, exact, rtol=1e-4, atol=1e-5)


def test_a_packed_tensor_saves_itself_alone_and_copies_nothing():
    gate, h = Gate("gelu(x)*g"), torch.randn(4, 6, 64, requires_grad=True)
    gate.packed(h).sum().backward()
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        y = gate.packed(h)
    assert [t.data_ptr() for t in saved] == [h.data_ptr()]
    with profile() as log:
        torch.autograd.grad(y, h, torch.ones_like(y))
        gate.packed(h.detach())
    names = {event.key for event in log.key_averages()}
    assert not names & {"aten::copy_", "aten::cat", "aten::clone", "aten::mul", "aten::contiguous"}, names


def test_parameters_per_channel_of_a_packed_tensor_lie_along_its_halves():
    gate = Gate("mul(f(x),g)", LEARNED, channels=5)
    with torch.no_grad():
        gate.beta.copy_(torch.linspace(0.5, 2, 5))
    h = torch.randn(3, 4, 10, requires_grad=True)
    x, g = halves(h, Layout())
    wanted = x * torch.sigmoid(gate.beta * x) * g
    torch.testing.assert_close(gate.packed(h), wanted)
    grad = torch.randn_like(wanted)
    found = torch.autograd.grad(gate.packed(h), (h, gate.beta), grad)
    for own, other in zip(found, torch.autograd.grad(wanted, (h, gate.beta), grad), strict=True):
        torch.testing.assert_close(own, other)
    torch.testing.assert_close(gate.packed(h, interleaved=True), gate(h[..., ::2], h[..., 1::2]))


@pytest.mark.parametrize("channel_dim", [0, 1, 2, -1])
def test_parameters_lie_along_any_dimension(channel_dim):
    gate = Gate("mul(f(x),g)", LEARNED, channels=(3, 4, 10)[channel_dim], channel_dim=channel_dim)
    with torch.no_grad():
        gate.beta.copy_(torch.linspace(0.5, 2, len(gate.beta)))
    x, g = torch.randn(3, 4, 20, requires_grad=True).chunk(2, -1)
    shape = [1, 1, 1]
    shape[channel_dim] = -1
    wanted = x * torch.sigmoid(gate.beta.view(shape) * x) * g
    torch.testing.assert_close(gate(x, g), wanted)
    grad = torch.randn_like(wanted)
    found = torch.autograd.grad(gate(x, g), (x, g, gate.beta), grad)
    for own, other in zip(found, torch.autograd.grad(wanted, (x, g, gate.beta), grad), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_kernel_and_plain_operations_agree(text, dtype):
    x, g = (t.detach().requires_grad_() for t in both(2000, dtype=dtype))
    grad = torch.randn(2000).to(dtype)
    gate = compile_expression(text)
    y = gate(x, g)
    found = y, *torch.autograd.grad(y, (x, g), grad)
    with SELECTOR.only_plain():
        y = gate(x, g)
        plain = y, *torch.autograd.grad(y, (x, g), grad)
    for own, other in zip(found, plain, strict=True):
        rtol = {torch.float32: 4e-6, torch.float64: 1e-13, torch.bfloat16: 0.008, torch.float16: 0.001}[dtype]
        torch.testing.assert_close(own, other, rtol=rtol, atol=rtol)


def test_many_threads_give_the_same():
    gate, h = Gate("mul(f(x),g)", LEARNED, channels=100), torch.randn(5000, 200, requires_grad=True)
    grad = torch.randn(5000, 100)
    y = gate.packed(h)
    found = y, *torch.autograd.grad(y, (h, gate.beta), grad)
    threads = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        y = gate.packed(h)
        others = y, *torch.autograd.grad(y, (h, gate.beta), grad)
    finally:
        torch.set_num_threads(threads)
    for own, other in zip(found[:2], others[:2], strict=True):
        assert torch.equal(own, other)
    torch.testing.assert_close(found[2], others[2])


@pytest.mark.parametrize(
    ("text", "x", "g"),
    [
        ("exp(x)*g", [90.0, 88.0, 1.0], [1e-30, 1e-3, 2.0]),
        ("x**2/(1 + g**2)", [1e25, 3.0, 1e20], [1e25, 1e20, 1e15]),
        ("(exp(x) - 1 - x)*g", [1e-3, 1e-20, 1.0], [1.0, 1e30, 1e-3]),
        ("tanh(x)*(exp(g) - 1 - g)", [1.0, 1e20, 0.0], [1e-4, 1e-3, 50.0]),
        ("sinh(x)*exp(-g)", [95.0, 1.0, -95.0], [94.0, -2.0, 90.0]),
    ],
)
def test_what_float32_is_not_enough_for_is_computed_in_float64_whichever_input_asks_for_it(text, x, g):
    gate = compile_expression(text)
    x, g = torch.tensor(x, requires_grad=True), torch.tensor(g, requires_grad=True)
    exact = [t.detach().double().requires_grad_() for t in (x, g)]
    y, wanted = gate(x, g), gate(*exact)
    torch.testing.assert_close(y, wanted.float(), rtol=1e-5, atol=1e-6)
    for own, other in zip(torch.autograd.grad(y.sum(), (x, g)), torch.autograd.grad(wanted.sum(), exact), strict=True):
        torch.testing.assert_close(own, other.float(), rtol=1e-5, atol=1e-6)


def test_common_gates_need_no_float64():
    for text in ("x*sigmoid(x)*g", "gelu(x)*g", "max(x,0)*g", CLIPPED):
        narrow = plan(lower(parse(text), 2)).narrow
        assert isinstance(narrow, JointKernel)
        assert not narrow.mended


class Elsewhere:
    """A kernel of another device, which computes nothing."""

    def supports(self, x, others):
        return True

    def forward(self, x, others):
        return torch.empty_like(x)

    def backward(self, grad, x, others):
        return torch.empty_like(x), torch.empty_like(x)


def test_the_gradient_of_a_packed_tensor_is_on_its_device(monkeypatch):
    monkeypatch.setitem(sys.modules, "elsewhere", types.SimpleNamespace(kernel=lambda forward, backward: Elsewhere()))
    gate, h = Gate("x*tanh(x)*g"), torch.empty(3, 8, device="meta", requires_grad=True)
    before = SELECTOR._modules
    SELECTOR._choose({"meta": "elsewhere"})
    try:
        y = gate.packed(h)
        (found,) = torch.autograd.grad(y, h, torch.empty_like(y))
    finally:
        SELECTOR._choose(before)
    assert found.device == h.device
    assert found.shape == h.shape
