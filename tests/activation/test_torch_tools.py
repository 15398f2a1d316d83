"""Activations go wherever PyTorch's own do: tracers, devices, modes, odd tensors, saving and loading.

`nn.SiLU` and `nn.PReLU` are the model: what works with one works with an activation of its kind.
"""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18
from torchvision.models.feature_extraction import create_feature_extractor

import symact
from symact.activation.module import Activation
from symact.activation.module import compile as compile_expression
from symact.activation.replace import replace_activations
from symact.errors import InputError
from symact.expr.operators import Parameter, Vocabulary

LEARNED = Vocabulary(parameters={"beta": Parameter("beta", 0.7), "alpha": Parameter("alpha", 0.5, positive=True)})

# Float32 is enough for the first, and not for the second; the third has parameters.
MAKERS: dict[str, Callable[[], nn.Module]] = {
    "one": lambda: Activation("x*tanh(softplus(x))"),
    "float64 inside": lambda: Activation("x**2/(1 + x**2)"),
    "learnable": lambda: Activation("alpha*x*sigmoid(beta*x)", LEARNED),
    "per channel": lambda: Activation("alpha*x*sigmoid(beta*x)", LEARNED, channels=3),
}
every = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


@every
def test_a_tracer_sees_a_leaf(make: Callable[[], nn.Module]) -> None:
    net = nn.Sequential(nn.Linear(3, 3), make(), nn.Sequential(make()))
    traced = torch.fx.symbolic_trace(net)
    assert [str(n.target) for n in traced.graph.nodes if n.op == "call_module"] == ["0", "1", "2.0"]
    x = torch.randn(2, 3)
    torch.testing.assert_close(traced(x), net(x))
    sum(p.sum() for p in (traced(x),)).backward()


@pytest.mark.parametrize("kind", ["one", "learnable"])
def test_an_activation_that_is_all_of_the_graph_is_written_out(kind: str) -> None:
    module = MAKERS[kind]()
    traced = torch.fx.symbolic_trace(module)
    x = torch.randn(2, 3)
    torch.testing.assert_close(traced(x), module(x))


def test_so_is_a_function_inside_a_module() -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return compile_expression("x*sigmoid(x)")(x) + 1

    x = torch.randn(3)
    torch.testing.assert_close(torch.fx.symbolic_trace(Net())(x), Net()(x))


def test_features_are_extracted_with_torchvision() -> None:
    model = resnet18().eval()
    replace_activations(model, "x*sigmoid(x)")
    features = create_feature_extractor(model, ["layer1.0.relu", "layer4"])(torch.randn(1, 3, 32, 32))
    assert features["layer1.0.relu"].shape[1] == 64


@contextmanager
def default_device(name: str) -> Iterator[None]:
    torch.set_default_device(name)
    try:
        yield
    finally:
        torch.set_default_device(None)


@every
@pytest.mark.parametrize("within", [torch.device, default_device], ids=["with", "default"])
def test_made_on_meta_and_filled_later(make: Callable[[], nn.Module], within: Callable[[str], object]) -> None:
    x = torch.randn(2, 3)
    expected = make()(x)
    with within("meta"):
        module = make()
        assert module(torch.ones(2, 3)).device.type == "meta"
        module.to_empty(device="cpu").reset_parameters()
        torch.testing.assert_close(module(x), expected)
    for parameter in module.parameters():
        assert parameter.dtype == torch.float32


@every
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_torch_jit_trace_before_the_first_call(make: Callable[[], nn.Module]) -> None:
    module, x = make(), torch.randn(2, 3)
    traced = torch.jit.trace(module, (x,))
    torch.testing.assert_close(traced(2 * x), module(2 * x))


@every
def test_inference_mode_first_training_then(make: Callable[[], nn.Module]) -> None:
    module = make()
    with torch.inference_mode():
        seen = torch.randn(2, 3)
        expected = module(seen)
    if not list(module.parameters()):
        assert torch.equal(module(seen), expected)
    x = seen.clone().requires_grad_()
    y = module(x)
    assert torch.equal(y, expected)
    y.sum().backward()
    assert x.grad is not None


@every
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_nested_tensors(make: Callable[[], nn.Module], layout: torch.layout) -> None:
    module = make()
    parts = [torch.randn(2, 3), torch.randn(4, 3)]
    if getattr(module, "channels", None):
        with pytest.raises(InputError, match="channel_dim"):
            module(torch.nested.nested_tensor(parts, layout=layout))
        module.channel_dim = -1
    wanted = [module(part).detach() for part in parts]
    for _ in range(2):
        x = torch.nested.nested_tensor(parts, layout=layout, requires_grad=True)
        y = module(x)
        for found, right in zip(y.unbind(), wanted, strict=True):
            torch.testing.assert_close(found, right)
        y.to_padded_tensor(0.0).sum().backward()
        assert x.grad is not None
        with torch.no_grad():
            torch.testing.assert_close(module(x).to_padded_tensor(0.0), y.to_padded_tensor(0.0))


@every
@pytest.mark.parametrize("size", [3, 30_000])
def test_zeros_without_storage_are_zeros(make: Callable[[], nn.Module], size: int) -> None:
    module = make()
    for _ in range(2):  # The second call has a plan.
        x = torch.randn(size, 3, requires_grad=True)
        zeros = torch._efficientzerotensor(size, 3)
        assert torch.equal(module(zeros), module(torch.zeros(size, 3)))
        module(x).backward(zeros)
        assert x.grad is not None
        assert not x.grad.any()


def test_a_parameter_without_storage_is_zero() -> None:
    module, x = MAKERS["learnable"](), torch.randn(4, 3)
    found = torch.func.functional_call(module, {"beta": torch._efficientzerotensor(())}, (x,))
    torch.testing.assert_close(found, module.alpha * x / 2)


@every
@pytest.mark.parametrize("size", [3, 30_000])
def test_sparse_gradients(make: Callable[[], nn.Module], size: int) -> None:
    module = make()
    for _ in range(2):
        x, grad = torch.randn(size, 3, requires_grad=True), torch.zeros(size, 3)
        grad[1, 2] = 1.5
        found, wanted = (torch.autograd.grad(module(x), x, g)[0] for g in (grad.to_sparse(), grad))
        assert torch.equal(found, wanted)


@every
@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("layout", ["to_sparse", "to_sparse_csr", "to_mkldnn"])
def test_an_input_that_is_not_dense_is_refused(make: Callable[[], nn.Module], layout: str) -> None:
    module = make()
    module(torch.eye(3))
    with pytest.raises(InputError, match="to_dense"):
        module(getattr(torch.eye(3), layout)())


@pytest.mark.parametrize("shape", [(2, 1, 3, 3), (2, 5), (5,), (2, 4, 3), ()])
@pytest.mark.parametrize("channel_dim", [1, -1])
def test_a_tensor_of_other_channels_is_refused(shape: tuple[int, ...], channel_dim: int) -> None:
    module = Activation("x*sigmoid(beta*x)", LEARNED, channels=8, channel_dim=channel_dim)
    with pytest.raises(InputError, match="channels"):
        module(torch.zeros(shape))
    with pytest.raises(InputError, match="channels"):
        compile_expression("x*sigmoid(beta*x)", LEARNED)(torch.zeros(shape), beta=torch.ones(8))


@pytest.mark.parametrize(("shape", "channel_dim"), [
    ((2, 5, 3), -1), ((2, 5, 3), 2), ((2, 4, 5, 3), -1), ((2, 4, 3, 5), -2), ((3, 4, 5), 0), ((3, 4), 0),
    ((4, 3), -1), ((3,), -1), ((2, 3, 4), 1), ((2, 3, 4), -2),
])  # fmt: skip
def test_channels_along_any_dimension(shape: tuple[int, ...], channel_dim: int) -> None:
    module = Activation("alpha*x*sigmoid(beta*x)", LEARNED, channels=3, channel_dim=channel_dim).double()
    with torch.no_grad():
        module.beta.copy_(torch.tensor([0.3, -0.4, 1.1]))
        module.alpha.copy_(torch.tensor([0.5, 2.0, -1.5]))
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    view = [1] * len(shape)
    view[channel_dim if len(shape) > 1 else 0] = 3
    beta, alpha = module.beta.view(view), module.alpha.abs().view(view)
    wanted = alpha * x * torch.sigmoid(beta * x)
    inputs = [x, module.beta, module.alpha]
    slopes = torch.autograd.grad(wanted.square().sum(), inputs)
    found = module(x)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(torch.autograd.grad(found.square().sum(), inputs), slopes)
    torch._dynamo.reset()
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), wanted)


def test_a_dimension_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="channel_dim=3"):
        Activation("beta*x", LEARNED, channels=3, channel_dim=3)(torch.zeros(2, 3))


def test_one_value_in_a_vector_is_one_value_for_all() -> None:
    module, other = Activation("x*sigmoid(beta*x)", LEARNED, channels=1), Activation("x*sigmoid(beta*x)", LEARNED)
    assert module.beta.shape == (1,)
    for shape in ((), (4,), (2, 3), (2, 3, 4, 4)):
        x = torch.randn(shape)
        results = [m(x) for m in (module, other)]
        torch.testing.assert_close(*results)
        slopes = [torch.autograd.grad(y.sum(), m.beta)[0] for y, m in zip(results, (module, other), strict=True)]
        assert slopes[0].shape == (1,)
        torch.testing.assert_close(slopes[0].reshape(()), slopes[1])
    assert module.expression() == other.expression()
    assert module.constants() == other.constants()


def test_lazy_parameters_look_at_the_channels() -> None:
    per = Vocabulary(parameters={"beta": Parameter("beta", 0.7, per="channel")})
    for channel_dim, count in ((1, 5), (-1, 7)):
        module = Activation("beta*x", per, channel_dim=channel_dim)
        module.reset_parameters()
        assert module(torch.ones(2, 5, 7)).shape == (2, 5, 7)
        assert module.beta.shape == (count,)
        with torch.no_grad():
            module.beta.zero_()
        module.reset_parameters()
        assert module.beta.tolist() == pytest.approx([0.7] * count)


@every
def test_a_module_is_pickled_and_an_exported_one_saved(make: Callable[[], nn.Module]) -> None:
    net = nn.Sequential(nn.Linear(3, 3), make())
    x = torch.randn(2, 3)
    for other in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert torch.equal(other(x), net(x))
    file = io.BytesIO()
    torch.export.save(torch.export.export(net, (x,)), file)
    file.seek(0)
    torch.testing.assert_close(torch.export.load(file).module()(x), net(x))


def test_public_names_are_those_of_the_package() -> None:
    assert symact.Activation is Activation
