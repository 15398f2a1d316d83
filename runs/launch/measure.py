"""What a call of an activation takes on the CPU before its Triton kernel runs, with the driver left out.

`python runs/launch/measure.py` writes `results.json` beside itself. No GPU is needed, and none is measured: tensors are
on the CPU and stand for CUDA tensors, and a compiled kernel that does nothing stands for Triton's. Processor time of
this thread, the shortest of seven rounds: forward without gradients, forward with, backward, and the launch alone.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["TRITON_INTERPRET"] = "0"

import torch
import torch.nn.functional as F

from symact.activation import plan as plans
from symact.activation.runner import Runner
from symact.backends.select import BACKENDS, Selector
from symact.backends.triton import kernel, launch
from symact.expr.operators import Parameter, Vocabulary
from symact.expr.tree import parse
from symact.program.pipeline import lower

LEARNED = Vocabulary(parameters={"beta": Parameter("beta", 0.7)})
CALLS, ROUNDS = 3000, 7


class Nothing:
    """Stands for what `triton.jit` made and for what it compiled."""

    def __init__(self, *_: Any) -> None:
        pass

    def __getitem__(self, _grid: Any) -> Nothing:
        return self

    def __call__(self, *_arguments: Any, **_options: Any) -> Nothing:
        return self


def as_on_a_gpu() -> None:
    """CPU tensors take the way of CUDA tensors, up to the driver."""
    begin, supports = launch.Launch.__init__, kernel.TritonKernel.supports

    def init(self: Any, _function: Any, interpreted: bool) -> None:
        begin(self, Nothing(), interpreted)

    def supported(self: Any, x: Any, parameters: Any) -> bool:
        supports(self, x, parameters)
        return True

    launch.Launch.__init__ = init  # type: ignore[method-assign]
    kernel.TritonKernel.supports = supported  # type: ignore[method-assign]
    kernel._runs = lambda: True
    kernel.interpreted = lambda: False  # CUDA tensors do not ask
    kernel._kind = lambda precision, _on_gpu: (precision, None)
    plans.SELECTOR = Selector(BACKENDS)  # type: ignore[attr-defined]


def microseconds(call: Callable[[], Any]) -> float:
    """The processor time of one call."""
    times = []
    for _ in range(ROUNDS):
        began = time.thread_time()
        for _ in range(CALLS):
            call()
        times.append((time.thread_time() - began) / CALLS)
    return round(1e6 * min(times), 1)


def measure(text: str, channels: int | None) -> dict[str, float]:
    """One activation."""
    program = lower(parse(text, LEARNED))
    runner = Runner(program)
    runner._plans["cpu"] = plans.plan(program, "cuda")
    x = torch.randn(8, 16, 4, 4)
    shape = () if channels is None else (channels,)
    parameters = tuple(torch.full(shape, 0.7, requires_grad=True) for _ in program.inputs[1:])
    frozen = tuple(p.detach() for p in parameters)
    leaf = x.clone().requires_grad_()
    y = runner(leaf, parameters)
    grad, inputs = torch.randn_like(x), (leaf, *parameters)
    plan = runner._plans["cpu"]
    return {
        "forward": microseconds(lambda: runner(x, frozen)),
        "forward with gradients": microseconds(lambda: runner(leaf, parameters)),
        "backward": microseconds(lambda: torch.autograd.grad(y, inputs, grad, retain_graph=True)),
        "kernel's forward alone": microseconds(lambda: plan.narrow.forward(x, frozen)),  # type: ignore[union-attr]
        "kernel's backward alone": microseconds(lambda: plan.narrow.backward(grad, x, frozen)),  # type: ignore[union-attr]
    }


def yardstick(native: Callable[..., Any], channels: int | None) -> dict[str, float]:
    """PyTorch's own function on the CPU: what autograd's engine takes, and little beside it."""
    x = torch.randn(8, 16, 4, 4)
    leaf = x.clone().requires_grad_()
    parameters = () if channels is None else (torch.full((channels,), 0.2, requires_grad=True),)
    y, grad = native(leaf, *parameters), torch.randn_like(x)
    return {
        "forward with gradients": microseconds(lambda: native(leaf, *parameters)),
        "backward": microseconds(lambda: torch.autograd.grad(y, (leaf, *parameters), grad, retain_graph=True)),
    }


def main() -> None:
    as_on_a_gpu()
    torch.set_num_threads(1)
    rows: dict[str, dict[str, float]] = {
        "x*sigmoid(x)": measure("x*sigmoid(x)", None),
        "x*sigmoid(beta*x), per layer": measure("x*sigmoid(beta*x)", None),
        "x*sigmoid(beta*x), per channel": measure("x*sigmoid(beta*x)", 16),
        "F.silu on the CPU": yardstick(F.silu, None),
        "F.prelu on the CPU, per layer": yardstick(F.prelu, 1),
        "F.prelu on the CPU, per channel": yardstick(F.prelu, 16),
    }
    print(json.dumps(rows, indent=1))
    versions = {"python": platform.python_version(), "torch": torch.__version__, "machine": platform.machine()}
    document = {"versions": versions, "microseconds": rows}
    Path(__file__).with_name("results.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
