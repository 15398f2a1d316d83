"""What the study tells its listeners while a candidate trains in this process, as if the training were elsewhere.

A listener is code of the user's, but not the task: what it raises is no failure of the candidate, and what it draws or
sets is no part of the training.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import torch

from symact.execute import global_state
from symact.execute.piece import Piece


def _cuda_states() -> list[torch.Tensor] | None:
    return torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None


def _write_cuda_states(saved: list[torch.Tensor] | None) -> None:
    if saved is not None:
        torch.cuda.set_rng_state_all(saved)


RANDOM = (
    *global_state.GENERATORS,
    Piece("random numbers of PyTorch", torch.get_rng_state, torch.set_rng_state, torch.equal),
    Piece("random numbers on CUDA devices", _cuda_states, _write_cuda_states),
)


class Ended(BaseException):
    """Ends a training because a listener ended the run."""


class Aside:
    """Calls listeners in the midst of a training, which notices nothing of it; made before the training is seeded.

    They draw from the random numbers of the user's process, which go on from one call to the next.

    Attributes:
        error: what a listener raised, for whoever began the training: it ends the run.
        seconds: that listeners took.
    """

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.seconds = 0.0
        self._place = os.getpid(), threading.get_ident()
        self._outside, self._told = _random(), False

    def call(self, listener: Callable[[], object]) -> None:
        """Call a listener, unless this is a process or a thread that the task has started.

        Raises:
            Ended: a listener has raised `error`, now or before.
        """
        if self._place != (os.getpid(), threading.get_ident()):
            return
        if self.error is None:
            started = time.perf_counter()
            self._call(listener)
            self.seconds += time.perf_counter() - started
        if self.error is not None:
            raise Ended

    def _call(self, listener: Callable[[], object]) -> None:
        inside, drawn = global_state.GlobalState(global_state.PIECES), _random()
        inside.take()
        try:
            _write(self._outside)
            try:
                listener()
            except BaseException as error:
                self.error = error
            self._outside, self._told = _random(), True
        finally:
            inside.restore()
            _write(drawn)

    def leave(self) -> None:
        """After the training: random numbers outside go on where listeners have left them."""
        if self._told:
            _write(self._outside)


def _random() -> list[Any]:
    return [piece.read() for piece in RANDOM]


def _write(states: list[Any]) -> None:
    for piece, state in zip(RANDOM, states, strict=True):
        piece.write(state)
