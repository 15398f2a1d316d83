"""Every chain of transforms of torch.func gives what the same formula in PyTorch's own operations gives."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vmap

from symact.activation.module import Activation
from symact.activation.module import compile as compile_expression
from symact.expr.operators import Parameter, Vocabulary
from symact.program.gradient import pushforward
from symact.program.pipeline import lower

LEARNED = Vocabulary(parameters={"beta": Parameter("beta", 0.7), "alpha": Parameter("alpha", 0.3)})
Function = Callable[..., Tensor]

# A formula, and the same by PyTorch.
ONE: dict[str, Function] = {
    "x*sigmoid(x)": nn.functional.silu,
    "tanh(x)": torch.tanh,
    "x**2/(1 + x**2)": lambda x: x**2 / (1 + x**2),
}
TWO: dict[str, Function] = {
    "x*sigmoid(beta*x)": lambda x, b: x * torch.sigmoid(b * x),
    "where(x > 0, x, beta*x)": lambda x, b: torch.where(x > 0, x, b * x),
    "exp(-beta*x**2)": lambda x, b: torch.exp(-b * x * x),
}

STEPS = [("grad", 0), ("grad", 1), ("jvp", 0), ("jvp", 1), ("jvp", 2)]


def applied(f: Function, kind: str, which: int) -> Function:
    """One more derivative; a tangent of number 2 moves all arguments."""
    if kind == "grad":
        return grad(f, argnums=which)

    def along(*arguments: Tensor) -> Tensor:
        tangents = tuple(torch.full_like(t, 1.0 + 0.3 * i if which in (i, 2) else 0.0) for i, t in enumerate(arguments))
        return jvp(f, arguments, tangents)[1]

    return along


def by_name(text: str) -> Function:
    function = compile_expression(text, LEARNED)
    return lambda x, b: function(x, beta=b)


@pytest.mark.parametrize("text", TWO)
def test_chains_of_gradients_and_tangents_in_input_and_parameter(text: str) -> None:
    points = [torch.tensor(v, dtype=torch.float64) for v in (0.4, -1.0)]
    beta = torch.tensor(0.7, dtype=torch.float64)
    for length in (1, 2, 3):
        for chain in itertools.product(STEPS, repeat=length):
            found, wanted = by_name(text), TWO[text]
            for step in chain:
                found, wanted = applied(found, *step), applied(wanted, *step)
            for x in points:
                assert torch.allclose(found(x, beta), wanted(x, beta)), chain


@pytest.mark.parametrize("text", ONE)
def test_chains_of_four_in_one_variable(text: str) -> None:
    x = torch.tensor([0.4, -1.0], dtype=torch.float64)
    for chain in itertools.product(("grad", "jvp"), repeat=4):
        found: Function = compile_expression(text)
        wanted = ONE[text]
        for kind in chain:
            found, wanted = applied(found, kind, 0), applied(wanted, kind, 0)
        assert torch.allclose(vmap(found)(x), vmap(wanted)(x)), chain


@pytest.mark.parametrize("outer", [jacfwd, jacrev])
@pytest.mark.parametrize("inner", [jacfwd, jacrev])
@pytest.mark.parametrize("channels", [None, 3])
def test_hessians_of_modules(outer: Callable[..., Function], inner: Callable[..., Function], channels: int | None):
    module = Activation("x*sigmoid(beta*x) + alpha*x**2", LEARNED, channels=channels).double()
    x = torch.randn(2, 3, 2, dtype=torch.float64)

    def mine(values: dict[str, Tensor], t: Tensor) -> Tensor:
        return functional_call(module, values, (t,)).square().sum()

    def theirs(values: dict[str, Tensor], t: Tensor) -> Tensor:
        a, b = (values[name].view(-1, 1) if channels else values[name] for name in ("alpha", "beta"))
        return (t * torch.sigmoid(b * t) + a * t**2).square().sum()

    values = dict(module.named_parameters())
    found, wanted = (outer(inner(f, argnums=(0, 1)), argnums=(0, 1))(values, x) for f in (mine, theirs))
    torch.testing.assert_close(found, wanted)


def test_known_values() -> None:
    x = torch.tensor([0.4, -1.0])
    module = Activation("x*sigmoid(beta*x)", Vocabulary(parameters={"beta": Parameter("beta", 1.0)}))
    second = hessian(lambda t: module(t).sum())(x)
    assert second.diagonal().tolist() == pytest.approx([0.4616, 0.3024], abs=1e-4)
    third = functools.reduce(lambda f, _: applied(f, "jvp", 0), range(3), compile_expression("tanh(x)"))
    assert third(torch.tensor(0.4)).item() == pytest.approx(-0.97015, abs=1e-4)


@pytest.mark.parametrize("text", [*TWO, "x*tanh(softplus(x))"])
@pytest.mark.parametrize("shape", [(), (1,), (3,)])
def test_gradcheck_in_forward_mode(text: str, shape: tuple[int, ...]) -> None:
    module = Activation(text, LEARNED, channels=shape[0] if shape else None).double()
    x = torch.randn(2, *(shape or (3,)), dtype=torch.float64).add(0.1).requires_grad_()
    names = [name for name, _ in module.named_parameters()]

    def f(t: Tensor, *values: Tensor) -> Tensor:
        return functional_call(module, dict(zip(names, values, strict=True)), (t,))

    inputs = (x, *module.parameters())
    assert torch.autograd.gradcheck(f, inputs, check_forward_ad=True, check_batched_forward_grad=True)
    assert torch.autograd.gradgradcheck(f, inputs, check_fwd_over_rev=True, check_rev_over_rev=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tangents_have_the_dtype_of_the_input(dtype: torch.dtype) -> None:
    module, x = Activation("x*sigmoid(beta*x)", LEARNED), torch.randn(4).to(dtype)
    value, tangent = jvp(module, (x,), (torch.ones_like(x),))
    assert value.dtype == tangent.dtype == dtype


def test_a_pushforward_of_one_input_is_the_gradient() -> None:
    program = lower(compile_expression("tanh(x)").expr)
    assert pushforward(program, (0,)).inputs == ("x", "grad")
    both = pushforward(lower(compile_expression("beta*x", LEARNED).expr), (0, 1))
    assert both.inputs == ("x", "beta", "tangent_x", "tangent_beta")
    assert len(both.outputs) == 1


COMPILED: dict[str, Callable[[Function], Function]] = {
    "forward": lambda f: f,
    "grad": lambda f: grad(lambda x: f(x).square().sum()),
    "jvp": lambda f: lambda x: jvp(f, (x,), (x + 1,))[1],
    "vmap of grad": lambda f: vmap(grad(lambda x: f(x).square().sum())),
    "hessian": lambda f: hessian(lambda x: f(x).square().sum()),
    "jacfwd": lambda f: jacfwd(f),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("text", ["x*sigmoid(x)", "x**2/(1 + x**2)", "x*sigmoid(beta*x)"])
def test_transforms_are_compiled(text: str) -> None:
    module = Activation(text, LEARNED)
    x = torch.randn(3, 2)
    for name, transformed in COMPILED.items():
        torch._dynamo.reset()
        compiled = torch.compile(transformed(module), fullgraph=True, backend="aot_eager")
        assert torch.allclose(compiled(x), transformed(module)(x), atol=1e-5), name


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [compile_expression, Activation])
def test_compilers_do_not_take_one_function_for_another(kind: Callable[[str], Function]) -> None:
    """All functions share the code that Dynamo keeps its results for."""
    torch._dynamo.reset()
    texts = ("x*tanh(exp(x))", "x**2/(1 + x**2)", "sin(x)")
    functions = [kind(text) for text in texts]
    compiled = [torch.compile(function, backend="eager") for function in functions]
    for dtype in (torch.float32, torch.float64, torch.float32):
        for size in (3, 5):
            x = torch.randn(size, dtype=dtype)
            for function, other in zip(functions, compiled, strict=True):
                torch.testing.assert_close(other(x), function(x))
