"""The state of an unfinished training on disk, so that one that was killed goes on from its last epoch.

A file belongs to one training: its name is made of everything that decides the training, names of operators, tasks and
classes written out, since two of them may share a name. It is written whole or not at
all, read as tensors and plain values alone, and removed when the training has ended. What goes on from it gives the
same numbers as a training that was never stopped.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import sympy
import torch
from torch import nn

from symact import __version__
from symact.errors import InputError
from symact.expr.tree import Candidate, candidate_text, sites
from symact.files import write_file
from symact.tasks.ranks import ALONE, Ranks

State: TypeAlias = dict[str, Any]


class Checkpoint:
    """The file of one training.

    Args:
        folder: where such files are, made if it is not there.
        identity: everything that decides the training.
        ranks: the processes that train together; the first alone uses the file, and tells the others what it holds.

    Raises:
        InputError: the folder cannot be made.
    """

    def __init__(self, folder: Path | str, identity: Sequence[object], ranks: Ranks = ALONE):
        self._ranks, self._is_first = ranks, ranks.number == 0
        self.identity = "\n".join(map(str, identity))
        try:
            if self._is_first:
                Path(folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"checkpoints: the folder {folder} cannot be made ({error.strerror})") from None
        self.path = Path(folder) / f"{hashlib.sha256(self.identity.encode()).hexdigest()[:32]}.pt"

    def load(self, device: torch.device) -> State | None:
        """What was saved last, None where nothing was, or where it cannot be read; all processes call it."""
        data, state = b"", None
        if self._is_first:
            with contextlib.suppress(Exception):  # no file, or a damaged one: the training begins again
                data = self.path.read_bytes()
                state = _state(data, device)
            if state is None or state.get("identity") != self.identity:
                data, state = b"", None
        data = self._ranks.told(data, device)
        return state if self._is_first or not data else _state(data, device)

    def save(self, state: State) -> None:
        """Keep a state in place of the one before."""
        if self._is_first:
            write_file(self.path, lambda path: torch.save({"identity": self.identity, **state}, path))

    def remove(self) -> None:
        """The training has ended."""
        with contextlib.suppress(OSError):
            if self._is_first:
                self.path.unlink()


def _state(data: bytes, device: torch.device) -> State | None:
    state = torch.load(io.BytesIO(data), map_location=device, weights_only=True)
    return state if isinstance(state, dict) else None


def formula_of(candidate: Candidate) -> tuple[str, ...]:
    """What a candidate computes: its text, and its operators with their formulas, parameters and initial values."""
    used = {node.operator for expression in sites(candidate) for node in expression.walk()}
    return (candidate_text(candidate), *sorted(f"{operator!r} {sympy.srepr(operator.formula)}" for operator in used))


def source_of(task: object) -> tuple[str, ...]:
    """Which code a task is: its class and those that it is made of, each with the SHA-256 of its module's source."""
    return tuple(f"{cls.__module__}.{cls.__qualname__} {_sha256(cls.__module__)}" for cls in type(task).__mro__)


def _sha256(module: str) -> str:
    """Of the source of a module as its loader has it; `""` where there is none, such as in a notebook."""
    loader = getattr(sys.modules.get(module), "__loader__", None)
    try:
        return hashlib.sha256(loader.get_source(module).encode()).hexdigest()  # type: ignore[union-attr]
    except (AttributeError, ImportError, OSError):
        return ""


def setting(device: torch.device) -> tuple[str, ...]:
    """Where a training runs: another device or version would go on with numbers of its own."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return device.type, name, f"torch {torch.__version__}", f"symact {__version__}"


def random_state(device: torch.device) -> State:
    """The state of torch's random generators, which dropout and augmentation draw from."""
    kept: State = {"cpu": torch.get_rng_state()}
    return kept | ({"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {})


def restore_random(kept: State, device: torch.device) -> None:
    """Put the generators back."""
    torch.set_rng_state(kept["cpu"].cpu())
    if device.type == "cuda" and "cuda" in kept:
        torch.cuda.set_rng_state(kept["cuda"].cpu(), device)


def buffers(model: nn.Module) -> dict[str, torch.Tensor]:
    """What a model keeps beside its parameters, such as running statistics."""
    return dict(model.named_buffers())
