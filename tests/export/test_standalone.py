"""Standalone modules run alone, are the function that symact compiles, and fail their own test where it fails."""

from __future__ import annotations

import ast
import importlib.util
import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.func import jacfwd, jacrev

from symact.activation.gate import Gate
from symact.activation.module import Activation
from symact.export import files
from symact.expr.operators import Parameter, Vocabulary

LEARNABLE = Vocabulary(
    parameters={
        "beta": Parameter("beta", init=0.8, positive=True),
        "alpha": Parameter("alpha", init=-0.5),
        "training": Parameter("training", init=2.0),
    }
)
FORMULAS = (
    "x*tanh(softplus(x))",
    "max(relu(x), sinc(x))",
    "alpha*x*sigmoid(beta*x) + training*erfc(x)",
    "x*erfcx(x) - i0e(x)*i1e(x)",
    "x**2/(1 + x**2)",
    "logcosh(x) - log_ndtr(x)",
    "1/x",
    "abs(x)**1.5 + heaviside(x)",
)


def loaded(path: Path):
    """A written module, imported as a stranger would."""
    specification = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def standalone(tmp_path_factory):
    """Every formula of FORMULAS, written and imported."""
    folder = tmp_path_factory.mktemp("standalone")
    modules = {}
    for number, text in enumerate(FORMULAS):
        path = folder / f"act_{number}.py"
        files.write(text, path, grammar=LEARNABLE)
        modules[text] = loaded(path)
    return modules


@pytest.mark.parametrize("text", FORMULAS)
def test_a_standalone_module_passes_its_own_test_and_imports_torch_alone(standalone, text, capsys):
    module = standalone[text]
    module.self_test()
    assert re.match(r"ok: \d+ values", capsys.readouterr().out)
    tree = ast.parse(Path(module.__file__).read_text())
    imports = [ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
    assert imports == ["import torch", "from torch import nn"]
    assert "LaTeX:" in module.__doc__
    assert text in module.__doc__


def test_a_standalone_module_runs_where_nothing_but_torch_is(tmp_path):
    path = tmp_path / "my_act.py"
    files.write_standalone("x*sigmoid(x)", path)
    done = subprocess.run([sys.executable, "-I", str(path)], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ok: 12 values")


def test_the_self_test_fails_where_the_function_is_changed(tmp_path):
    path = tmp_path / "my_act.py"
    files.write_standalone("x*sigmoid(x)", path)
    path.write_text(path.read_text().replace("torch.sigmoid(x)", "torch.sigmoid(1.01*x)", 1))
    with pytest.raises(AssertionError):
        loaded(path).self_test()
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("wrong (x, found, right): (-8.6,")
    assert not done.stdout


def test_the_self_test_does_not_pass_where_it_has_nothing_to_compare(tmp_path):
    path = tmp_path / "nowhere.py"
    files.write_standalone("log(-exp(x))", path)
    with pytest.raises(AssertionError, match="finite at none"):
        loaded(path).self_test()


@pytest.mark.parametrize("text", FORMULAS)
def test_a_standalone_module_is_the_function_that_symact_compiles(standalone, text):
    mine, theirs = Activation(text, LEARNABLE), standalone[text].Activation()
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.linspace(-4.1, 4.2, 60).reshape(3, 4, 5).to(dtype)
        results = []
        for module in (mine, theirs):
            module.zero_grad()
            point = x.clone().requires_grad_()
            y = module(point)
            assert y.dtype == dtype
            y.sum().backward()
            results.append((y, point.grad, {n: p.grad for n, p in module.named_parameters()}))
        (y, grad, parameters), (other_y, other_grad, other_parameters) = results
        tolerance = {"rtol": 2e-5, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-2, "atol": 1e-2}
        torch.testing.assert_close(other_y, y, **tolerance)
        torch.testing.assert_close(other_grad, grad, **tolerance)
        assert parameters.keys() == other_parameters.keys()
        for name, value in parameters.items():
            torch.testing.assert_close(other_parameters[name], value, rtol=1e-3, atol=1e-3)


def test_transforms_and_forward_mode_work_on_a_standalone_module(standalone):
    module = standalone["alpha*x*sigmoid(beta*x) + training*erfc(x)"]
    x = torch.linspace(-2, 2, 7, dtype=torch.float64)
    slope = torch.func.vmap(torch.func.grad(module.activation))(x)
    _, tangent = torch.func.jvp(module.activation, (x,), (torch.ones_like(x),))
    torch.testing.assert_close(tangent, slope)
    step = 1e-6
    difference = (module.activation(x + step) - module.activation(x - step)) / (2 * step)
    torch.testing.assert_close(slope, difference, rtol=1e-6, atol=1e-8)


def arguments_of(text: str) -> tuple[torch.Tensor, ...]:
    """A point and values of the parameters that a standalone function takes, in its order."""
    count = len(standalone_names(text))
    return tuple(torch.tensor(v, dtype=torch.float64) for v in (0.7, -0.5, 0.8, 2.0)[: 1 + count])


def standalone_names(text: str) -> list[str]:
    return [name for name in LEARNABLE.parameters if name in text]


@pytest.mark.parametrize("text", [text for text in FORMULAS if "heaviside" not in text])
def test_second_derivatives_agree_in_every_mode(standalone, text):
    function, point = standalone[text].activation, arguments_of(text)
    places = tuple(range(len(point)))
    found = []
    for outer, inner in itertools.product((jacfwd, jacrev), repeat=2):
        rows = outer(inner(function, argnums=places), argnums=places)(*point)
        found.append(torch.stack([torch.stack(row) for row in rows]))
    for other in found[1:]:
        torch.testing.assert_close(other, found[0])
    step = 1e-5
    slopes = [torch.func.grad(function)(point[0] + sign * step, *point[1:]) for sign in (1.0, -1.0)]
    assert found[0][0, 0].item() == pytest.approx(((slopes[0] - slopes[1]) / (2 * step)).item(), abs=1e-5)


def test_known_second_derivatives(standalone):
    x = torch.tensor([0.4, -1.0])
    second = torch.func.hessian(lambda t: standalone["x*tanh(softplus(x))"].activation(t).sum())(x)
    assert second.diagonal().tolist() == pytest.approx([0.5191, 0.3497], abs=1e-4)


@pytest.mark.parametrize("text", ["x**2/(1 + x**2)", "x*tanh(softplus(x))"])
def test_a_value_does_not_depend_on_its_neighbours(standalone, text):
    function = standalone[text].activation
    x = torch.linspace(-5, 5, 1000)
    beside = torch.cat([x, torch.tensor([1e25, float("nan")])])
    assert torch.equal(function(x), function(beside)[:-2])
    assert torch.equal(torch.func.vmap(function)(x), function(x))


def test_the_constants_of_a_trained_activation_travel(tmp_path):
    trained = Activation("alpha*x*sigmoid(beta*x)", LEARNABLE, channels=3)
    with torch.no_grad():
        trained.alpha.copy_(torch.tensor([1.0, 2.0, 3.0]))
        trained.beta.copy_(torch.tensor([-0.5, 0.25, 4.0]))
    path = tmp_path / "trained.py"
    files.write(trained, path)
    taken = loaded(path).Activation(inplace=True)
    x = torch.randn(2, 3, 4)
    torch.testing.assert_close(taken(x), trained(x))
    assert sum(p.numel() for p in taken.parameters()) == 6


@pytest.mark.parametrize(
    ("shape", "channel_dim"),
    [((2, 5, 3), -1), ((2, 4, 3, 5), -2), ((2, 4, 5, 3), 3), ((3, 4), 0), ((3,), -1), ((2, 3, 4), 1)],
)
def test_so_does_the_dimension_of_its_channels(tmp_path, shape, channel_dim):
    trained = Activation("alpha*x*sigmoid(beta*x)", LEARNABLE, channels=3, channel_dim=channel_dim)
    with torch.no_grad():
        trained.alpha.copy_(torch.tensor([1.0, 2.0, 3.0]))
    path = tmp_path / "trained.py"
    files.write(trained, path)
    x = torch.randn(shape)
    torch.testing.assert_close(loaded(path).Activation()(x), trained(x))
    torch.testing.assert_close(loaded(path).Activation(channels=1)(x), trained(x))


@pytest.mark.slow
def test_a_standalone_module_compiles_and_exports(standalone):
    act = standalone["alpha*x*sigmoid(beta*x) + training*erfc(x)"].Activation(channels=4)
    x = torch.randn(2, 4, 3, requires_grad=True)
    compiled = torch.compile(act, fullgraph=True)
    torch.testing.assert_close(compiled(x), act(x))
    (grad,) = torch.autograd.grad(compiled(x).sum(), x)
    torch.testing.assert_close(grad, torch.autograd.grad(act(x).sum(), x)[0])
    torch.testing.assert_close(torch.export.export(act, (x,)).module()(x), act(x))
    torch.testing.assert_close(
        torch.compile(torch.func.hessian(lambda t: act(t).sum()), backend="aot_eager")(x.detach()),
        torch.func.hessian(lambda t: act(t).sum())(x.detach()),
    )


def test_a_text_cannot_leave_the_docstring(tmp_path):
    path = tmp_path / "odd.py"
    files.write_standalone('x + 1  # """ \\', path)
    module = loaded(path)
    module.self_test()
    assert "x + 1" in module.__doc__


OF_TWO = Vocabulary(parameters={"alpha": Parameter("alpha", init=-0.5)}, inputs=("x", "g"))
CLIPPED = "swish(min(x,7))*(max(min(g,7),-7) + 1)"


@pytest.mark.parametrize("text", ["x*sigmoid(x)*g", CLIPPED, "tanh(alpha*x)/(1 + g**2)"])
def test_a_gate_is_written_as_a_function_of_two_tensors(text, tmp_path):
    gate, path = Gate(text, OF_TWO), tmp_path / "gate.py"
    files.write(gate, path)
    found = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=False)
    assert found.stdout.startswith("ok: 12"), found.stderr
    written = loaded(path).Gate()
    h = torch.randn(3, 4, 10, requires_grad=True)
    y, wanted = written.packed(h), gate.packed(h)
    torch.testing.assert_close(y, wanted)
    grad = torch.randn_like(y)
    torch.testing.assert_close(torch.autograd.grad(y, h, grad)[0], torch.autograd.grad(wanted, h, grad)[0])
    x, g = torch.randn(3, 1, requires_grad=True), torch.randn(4, dtype=torch.float64, requires_grad=True)
    assert written(x, g).dtype == torch.float64
    for own, other in zip(
        torch.autograd.grad(written(x, g).sum(), (x, g)), torch.autograd.grad(gate(x, g).sum(), (x, g)), strict=True
    ):
        torch.testing.assert_close(own, other)
    torch.testing.assert_close(torch.func.vmap(written)(x, x), gate(x, x))


def test_a_gate_with_channels_is_written_with_all_its_values(tmp_path):
    gate = Gate("alpha*x*g", OF_TWO, channels=3)
    with torch.no_grad():
        gate.alpha.copy_(torch.tensor([1.0, 2.0, 3.0]))
    files.write(gate, tmp_path / "gate.py")
    x, g = torch.randn(2, 5, 3), torch.randn(2, 5, 3)
    torch.testing.assert_close(loaded(tmp_path / "gate.py").Gate()(x, g), gate(x, g))
