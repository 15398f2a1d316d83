"""What docs/tasks.md and the transformer example show works as shown."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from symact.activation.module import Activation
from symact.records import Status

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "tasks.md").read_text(), re.DOTALL)


def load(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def block(tmp_path: Path, text: str) -> ModuleType:
    """The documented block that contains `text`, as a module."""
    (found,) = [code for code in BLOCKS if text in code]
    path = tmp_path / "documented.py"
    path.write_text(found)
    return load(path, "documented")


def test_the_task_of_twenty_lines_works(tmp_path: Path) -> None:
    task = block(tmp_path, "class MyTask").MyTask()
    outcome = task.evaluate(lambda: Activation("x*sigmoid(x)"), 0)
    assert outcome.score == task.evaluate(lambda: Activation("x*sigmoid(x)"), 0).score > 0.9
    nan = task.evaluate(lambda: Activation("log(x)"), 0)
    assert nan.status is Status.diverged


def test_the_image_task_of_ten_lines_works(tmp_path: Path) -> None:
    outcome = block(tmp_path, "class WideDigits").WideDigits().evaluate(nn.ReLU, 0)
    assert outcome.score > 0.95


def test_the_fit_task_of_twenty_lines_works(tmp_path: Path) -> None:
    task = block(tmp_path, "class Wave").Wave()
    outcome = task.final_test(lambda: Activation("sin(5*x)"), 0)
    assert outcome.score < 0.1
    assert outcome.metrics["test_score"] < 0.5


def test_the_features_of_a_mobile_network_are_computed(tmp_path: Path) -> None:
    features = block(tmp_path, "FisherProbe").features
    assert features.finite
    assert len(features.weights) == 53


def test_any_network_gets_its_activations_replaced(tmp_path: Path) -> None:
    model = block(tmp_path, "resnet18").network(lambda: Activation("x*sigmoid(x)"))
    assert not any(isinstance(module, nn.ReLU) for module in model.modules())
    assert sum(isinstance(module, Activation) for module in model.modules()) > 0


def test_the_character_transformer_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    module = load(ROOT / "examples" / "char_transformer.py", "char_transformer")
    task = module.CharTransformer()
    task.train = module.Split(task.train.x[:320], task.train.y[:320])
    task.validation = module.Split(task.validation.x[:64], task.validation.y[:64])
    made: list[nn.Module] = []

    def make() -> nn.Module:
        made.append(Activation("x*sigmoid(x)"))
        return made[-1]

    outcome = task.evaluate(make, 0)
    assert len(made) == task.sites
    assert outcome.score == task.evaluate(make, 0).score
    assert outcome.score > -torch.log2(torch.tensor(float(len(task.alphabet)))).item() + 1
