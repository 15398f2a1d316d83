"""Files to take home: standalone modules that run alone, ONNX in its runtime, pictures, refusals."""

from __future__ import annotations

import importlib.util
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

import symact
from symact.export import files
from symact.expr.operators import Parameter, Vocabulary

DOCS = Path(__file__).parents[2] / "docs" / "take_home.md"
LEARNABLE = Vocabulary(
    parameters={
        "beta": Parameter("beta", init=0.8, positive=True),
        "alpha": Parameter("alpha", init=-0.5),
        "training": Parameter("training", init=2.0),
    }
)


@pytest.mark.parametrize("name", ["gate.py", "gate.onnx", "gate.png"])
def test_the_text_of_a_gate_is_written_as_its_module_is_and_drawn(tmp_path, name):
    if name.endswith("onnx"):
        pytest.importorskip("onnx")
    write = files.plot if name.endswith("png") else files.write
    write("x*sigmoid(x)*g", tmp_path / name)
    write(symact.Gate("x*sigmoid(x)*g"), tmp_path / f"of-module-{name}")
    written = (tmp_path / name).read_bytes()
    assert len(written) > 100
    assert written == (tmp_path / f"of-module-{name}").read_bytes()
    files.plot("log(-x**2 - 1)*g", tmp_path / "nowhere.png")
    files.plot("0*x*g", tmp_path / "flat.png")


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
