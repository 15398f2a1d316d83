"""ONNX models are right in onnxruntime: every function, any shape, constants per channel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from symact.activation.gate import Gate
from symact.activation.high_precision import evaluate
from symact.activation.module import Activation
from symact.export import files, onnx
from symact.expr.functions import FUNCTIONS
from symact.expr.operators import Parameter, Vocabulary
from symact.expr.tree import parse, to_sympy

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

LEARNABLE = Vocabulary(
    parameters={"beta": Parameter("beta", init=0.8, positive=True), "alpha": Parameter("alpha", init=-0.5)}
)


def of(text: str, arguments: int) -> str:
    """A function of the whitelist as a formula in x."""
    if text == "pow":
        return "pow(abs(x), 1.7)"
    return f"{text}({', '.join(('x', '0.7', '1.2')[:arguments])})"


class Bundle(nn.Module):
    """Every function of the whitelist on one input: one export proves all."""

    def __init__(self, texts: list[str]):
        super().__init__()
        expressions = [parse(text) for text in texts]
        self.parts = nn.ModuleList(onnx._Module(expr, {}) for expr in expressions)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(part(x) for part in self.parts)


@pytest.mark.slow
def test_every_function_of_the_whitelist_is_right_in_onnxruntime():
    texts = [of(name, row.arity or 2) for name, row in FUNCTIONS.items()]
    names = [f"y{number}" for number in range(len(texts))]
    model = onnx.module_model(Bundle(texts), names)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    points = [0.0, 1e-30, -1e-8, 1e-4, -1e-3, 80.0, -80.0, 95.0, -95.0, 1e4, -1e4, *np.linspace(-30, 30, 61)]
    x = np.array(points, np.float32)
    for text, found in zip(texts, session.run(names, {"x": x}), strict=True):
        formula = to_sympy(parse(text))
        for point, value in zip(x.tolist(), found.tolist(), strict=True):
            exact = evaluate(formula, point)
            if exact is None or abs(exact.value) > 3.4e38:
                continue
            tolerance = max(1e-5 * abs(float(exact.value)), 1e-6)
            assert abs(value - float(exact.value)) <= tolerance, f"{text} at {point!r} is {value!r}"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_whole_network_is_right_in_onnxruntime():
    """What torch.onnx.export makes of a model with activations; some run in float64 inside."""
    texts = (
        "log(ndtr(x))",
        "asinh(elu(swish(x)))",
        "x*sigmoid(x)",
        "x**2/(1 + x**2)",
        "x*erfcx(x) - i0e(x)*i1e(x)",
        "log((1 + exp(50*x))/(1 + exp(50*(x - 1))))/50",
        "x*tanh(exp(x))",
    )

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.activations = nn.ModuleList(Activation(text) for text in texts)
            self.channels = Activation("alpha*tanh(x)", LEARNABLE, channels=11, channel_dim=-1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            rows = torch.stack([activation(x) for activation in self.activations])
            return torch.cat([rows, self.channels(x)[None]])

    net = Net()
    x = torch.tensor([-1000.0, -30, -8, -5, -1e-3, 0.5, 3, 5, 20, 100, 1000])
    program = torch.onnx.export(net, (torch.ones(11),), dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    for text, row in zip((*texts, "-0.5*tanh(x)"), found.tolist(), strict=True):
        formula = to_sympy(parse(text))
        for point, value in zip(x.tolist(), row, strict=True):
            exact = float(evaluate(formula, point).value)
            assert value == pytest.approx(exact, rel=1e-5, abs=1e-6) or abs(exact) > 3e38, f"{text} at {point}"


def test_an_onnx_model_takes_any_shape(tmp_path):
    path = tmp_path / "act.onnx"
    files.write("alpha*x*sigmoid(beta*x)", path, {"alpha": 1.5}, LEARNABLE)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for shape in ((), (3,), (2, 3, 4, 5), (0, 3)):
        x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        (y,) = session.run(["y"], {"x": x})
        np.testing.assert_allclose(y, 1.5 * x / (1 + np.exp(-0.8 * x)), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_an_onnx_model_with_constants_per_channel(tmp_path):
    path = tmp_path / "act.onnx"
    files.write("alpha*tanh(x)", path, {"alpha": [1.0, 2.0]}, LEARNABLE)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    x = np.ones((3, 2, 5, 6), np.float32)
    (y,) = session.run(["y"], {"x": x})
    np.testing.assert_allclose(y[:, 1], 2 * np.tanh(x[:, 1]), rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "channel_dim"), [((4, 6, 5, 2), -1), ((7, 2), -1), ((4, 6, 2, 5), -2), ((2, 5, 4, 3), 0)]
)
def test_channels_of_an_onnx_model_stand_where_the_activation_has_them(tmp_path, shape, channel_dim):
    trained = Activation("alpha*tanh(x)", LEARNABLE, channels=2, channel_dim=channel_dim)
    with torch.no_grad():
        trained.alpha.copy_(torch.tensor([1.0, 2.0]))
    path = tmp_path / "act.onnx"
    files.write(trained, path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    x = torch.randn(shape)
    (y,) = session.run(["y"], {"x": x.numpy()})
    np.testing.assert_allclose(y, trained(x).detach().numpy(), rtol=1e-5, atol=1e-6)


def test_two_clips_of_one_tensor_keep_their_bounds():
    text = "min(max(x, 0), 6) + min(max(x, -1), 1)"
    model = onnx.function_model(parse(text), {})
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = np.array([-3.0, -0.5, 0.5, 3.0, 9.0], np.float32)
    np.testing.assert_allclose(session.run(["y"], {"x": x})[0], x.clip(0, 6) + x.clip(-1, 1))


def test_a_gate_has_two_inputs(tmp_path):
    gate = Gate("swish(min(x,7))*(max(min(g,7),-7) + 1)")
    files.write(gate, tmp_path / "gate.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "gate.onnx"), providers=["CPUExecutionProvider"])
    x, g = 4 * torch.randn(2, 3, 5), 4 * torch.randn(2, 3, 5)
    (found,) = session.run(["y"], {"x": x.numpy(), "g": g.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), gate(x, g), rtol=1e-5, atol=1e-6)
