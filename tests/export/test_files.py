"""Files to take home: standalone modules that run alone, ONNX in its runtime, pictures, refusals."""

from __future__ import annotations

import ast
import importlib.util
import math
import re
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import torch

import symact
from symact.activation.module import Activation
from symact.export import files, plot
from symact.expr.operators import Parameter, Vocabulary
from symact.expr.tree import parse

DOCS = Path(__file__).parents[2] / "docs" / "take_home.md"
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


@pytest.mark.slow
def test_a_standalone_module_compiles_and_exports(standalone):
    act = standalone["alpha*x*sigmoid(beta*x) + training*erfc(x)"].Activation(channels=4)
    x = torch.randn(2, 4, 3, requires_grad=True)
    compiled = torch.compile(act, fullgraph=True)
    torch.testing.assert_close(compiled(x), act(x))
    (grad,) = torch.autograd.grad(compiled(x).sum(), x)
    torch.testing.assert_close(grad, torch.autograd.grad(act(x).sum(), x)[0])
    torch.testing.assert_close(torch.export.export(act, (x,)).module()(x), act(x))


def test_a_text_cannot_leave_the_docstring(tmp_path):
    path = tmp_path / "odd.py"
    files.write_standalone('x + 1  # """ \\', path)
    module = loaded(path)
    module.self_test()
    assert "x + 1" in module.__doc__


@pytest.mark.parametrize("name", ["act.txt", "act", "act.pt"])
def test_an_unknown_suffix_is_refused(tmp_path, name):
    with pytest.raises(symact.InputError, match=r"FILE\.py or FILE\.onnx"):
        files.write("tanh(x)", tmp_path / name)
    with pytest.raises(symact.InputError, match=r"FILE\.png"):
        files.plot("tanh(x)", tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_and_wrong_constants_are_refused(tmp_path):
    with pytest.raises(symact.InputError, match="cannot be written"):
        files.write("tanh(x)", tmp_path / "missing" / "act.py")
    with pytest.raises(symact.InputError, match="no parameter 'gamma'"):
        files.write("tanh(x)", tmp_path / "act.py", {"gamma": 1.0})
    with pytest.raises(symact.InputError, match="not finite"):
        files.write("alpha*x", tmp_path / "act.py", {"alpha": math.nan}, LEARNABLE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_picture_is_drawn(tmp_path, suffix):
    path = tmp_path / f"act{suffix}"
    files.plot("alpha*x*sigmoid(beta*x)", path, grammar=LEARNABLE)
    assert path.stat().st_size > 5000
    if suffix == ".png":
        pixels = matplotlib.image.imread(path)
        assert pixels[..., :3].std() > 0.02, "an empty picture"


def test_a_curve_is_broken_at_jumps_and_not_where_it_is_only_steep():
    def breaks(text: str, which: int) -> list[float]:
        x, y, _ = plot.sampled(plot.curves(parse(text), {})[which])
        return [float(v) for v in x[np.isnan(y)] if abs(v) < 4.9]

    assert breaks("where(x > 1, x, -1)", 0) == pytest.approx([1.0], abs=1e-6)
    assert breaks("relu(x)", 0) == []
    assert breaks("relu(x)", 1) == pytest.approx([0.0], abs=1e-6)
    assert breaks("hardswish(x)", 1) == pytest.approx([-3.0, 3.0], abs=1e-6)
    assert breaks("tanh(100*x)", 0) == []
    assert breaks("1/(x - 0.5)", 0) == pytest.approx([0.5], abs=1e-3)


@pytest.mark.slow
def test_every_snippet_of_the_manual_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pytest.importorskip("onnxruntime")
    blocks = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.S)
    assert len(blocks) >= 6
    code = "\n".join(b for b in blocks if "timm" not in b or importlib.util.find_spec("timm"))
    (tmp_path / "manual.py").write_text(code + "\ncompiled(torch.randn(3))\n")
    done = subprocess.run([sys.executable, "manual.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "replaced 121 activations, left 0" in done.stdout
    assert {p.name for p in tmp_path.iterdir()} >= {"my_act.py", "my_gate.py", "my_act.onnx"}
