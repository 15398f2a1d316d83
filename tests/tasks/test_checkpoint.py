"""A training that was stopped goes on from its last epoch, to the numbers of one that never was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from symact.errors import InputError
from symact.execute.job import MakeActivation
from symact.execute.reporting import Pruned
from symact.execute.task_loading import describe, load
from symact.expr.operators import NO_GRAMMAR
from symact.expr.tree import parse
from symact.program.loading import parse_grammar
from symact.tasks.builtin import DigitsDeep
from symact.tasks.networks import mlp


class Dropping(DigitsDeep):
    """Small, with dropout (torch's random numbers) and running statistics."""

    sites = 2

    def network(self, make_activation: object) -> nn.Module:
        plain = mlp(make_activation, 64, [16, 16], 10)  # type: ignore[arg-type]
        return nn.Sequential(plain[0], nn.BatchNorm1d(16), plain[1], nn.Dropout(0.2), *plain[2:])


def evaluated(
    folder: Path | str, optimizer: str = "adam", schedule: str = "joint", report: object = None, ema: float = 0.0
):
    task = Dropping()
    settings = {"checkpoints": str(folder), "optimizer": optimizer, "epochs": 4.0, "lookahead": 5, "rate": 0.01}
    task.configure({**settings, "ema": ema})
    make = MakeActivation(parse("tanh(x)"), NO_GRAMMAR, sites=2)
    return task.evaluate(make, 3, schedule=schedule, report=report)  # type: ignore[arg-type]


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "adam", "adamw", "rmsprop"])
def test_an_interrupted_training_goes_on_to_the_same_numbers(tmp_path: Path, optimizer: str) -> None:
    expected = evaluated("", optimizer)
    seen: list[int] = []

    def stop(step: int, score: float, of: int | None) -> None:
        seen.append(step)
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluated(tmp_path, optimizer, report=stop)
    assert len(list(tmp_path.glob("*.pt"))) == 1
    again: list[int] = []
    outcome = evaluated(tmp_path, optimizer, report=lambda step, score, of: again.append(step))
    assert (outcome.score, outcome.metrics["curve"]) == (expected.score, expected.metrics["curve"])
    assert again == [1, 2, 3, 4], "what was reported before the stop is reported again"
    assert list(tmp_path.iterdir()) == []


def test_a_training_that_was_killed_goes_on_in_another_process(tmp_path: Path) -> None:
    code = (
        "import os\nfrom tests.tasks.test_checkpoint import evaluated\n"
        f"evaluated({str(tmp_path)!r}, report=lambda step, score, of: os.kill(os.getpid(), 9) if step == 3 else None)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    (file,) = tmp_path.glob("*.pt")
    assert len(torch.load(file, weights_only=True)["curve"]) == 2
    steps: list[int] = []
    again = evaluated(tmp_path, report=lambda step, score, of: steps.append(step))
    assert steps == [1, 2, 3, 4]
    assert again.metrics["curve"] == evaluated("").metrics["curve"]


def test_a_damaged_file_begins_again_and_what_was_stopped_for_good_leaves_none(tmp_path: Path) -> None:
    def stop(step: int, score: float, of: int | None) -> None:
        raise Pruned("too far behind")

    with pytest.raises(Pruned):
        evaluated(tmp_path, report=stop)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyboardInterrupt):
        evaluated(
            tmp_path, report=lambda step, score, of: (_ for _ in ()).throw(KeyboardInterrupt) if step == 2 else None
        )
    (file,) = tmp_path.glob("*.pt")
    file.write_bytes(file.read_bytes()[:500])
    assert evaluated(tmp_path).metrics["curve"] == evaluated("").metrics["curve"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="checkpoints: the folder"):
        evaluated(tmp_path / "file" / "folder")


def test_a_stop_while_earlier_reports_are_repeated_leaves_no_file_either(tmp_path: Path) -> None:
    def stop(error: type[BaseException], step: int) -> object:
        return lambda at, score, of: (_ for _ in ()).throw(error) if at == step else None

    with pytest.raises(KeyboardInterrupt):
        evaluated(tmp_path, report=stop(KeyboardInterrupt, 3))
    assert len(list(tmp_path.glob("*.pt"))) == 1
    with pytest.raises(Pruned):
        evaluated(tmp_path, report=stop(Pruned, 1))
    assert list(tmp_path.iterdir()) == []


GRAMMAR = """name = "one"
[unary]
bent = "{formula}"
[parameters]
beta = {{ init = {init} }}
"""
TASK = """from symact.tasks.builtin import DigitsDeep
class Mine(DigitsDeep):
    extra = {extra}
"""


def test_trainings_of_one_name_that_differ_in_anything_that_decides_them_have_files_of_their_own(
    tmp_path: Path,
) -> None:
    def path(formula: str = "tanh(beta*x)", init: float = 1.0, extra: int = 1, device: str = "cpu", **own: int) -> Path:
        (tmp_path / "task.py").write_text(TASK.format(extra=extra))
        settings, file = describe(f"{tmp_path / 'task.py'}:Mine", {"checkpoints": str(tmp_path / "kept")})
        task = load(settings, file, None)
        vars(task).update(own)
        grammar = parse_grammar(GRAMMAR.format(formula=formula, init=init))
        make = MakeActivation(parse("bent(x)", grammar), grammar, sites=8)
        _ = task.dataset
        task.device = torch.device(device)
        return task._checkpoint(make, 3, 1.0, "joint").path  # type: ignore[no-any-return]

    others = [{"formula": "sin(beta*x)"}, {"init": 2.0}, {"extra": 2}, {"device": "meta"}, {"depth": 3}]
    paths = [path(), *(path(**other) for other in others)]  # type: ignore[arg-type]
    assert len(set(paths)) == len(paths)
    assert path() == paths[0]
