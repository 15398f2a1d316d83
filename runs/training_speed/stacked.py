"""Would it pay to train many candidates of `fashion14-deep` at once, with stacked weights? A prototype, measured.

    python runs/training_speed/stacked.py --data DIR [--candidates 8]

The weights of K candidates stand in one tensor per layer, `(K, inputs, outputs)`; a step is one batched product per
layer for all of them, every candidate's own fused activation on its slice, and one Adam on one flat buffer. All see the
same batches, which is what paired seeds ask for anyway. It is compared, in CPU seconds per candidate of one thread and
side by side, with the same steps one candidate after another: as `tasks.chain.Chain` (torch calls) and as
`tasks.native_chain` (what the task uses).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

import symact
from symact.tasks import TASKS
from symact.tasks.first_order import UPDATE_RULES, FlatParameters
from symact.tasks.mlp_step import Chain
from symact.tasks.mlp_step_native import NativeChain

HERE = Path(__file__).parent
FUNCTIONS = (
    "relu(x)", "tanh(x)", "x*sigmoid(x)", "elu(x)", "softplus(x)", "gelu(x)", "x*erfc(elu(x))", "max(tanh(x), sin(x))",
)  # fmt: skip
STEPS = 40


class Stacked:
    """K candidates in one step."""

    def __init__(self, models: list[torch.nn.Sequential], config: object):
        layers = [[module for module in model if isinstance(module, torch.nn.Linear)] for model in models]
        self.kernels = [
            [module._runner.plan("cpu").narrow for module in model if isinstance(module, symact.Activation)]
            for model in models
        ]
        tensors = []
        for column in zip(*layers, strict=True):
            tensors.append(torch.nn.Parameter(torch.stack([layer.weight.detach().t() for layer in column])))
            tensors.append(torch.nn.Parameter(torch.stack([layer.bias.detach() for layer in column]).unsqueeze(1)))
        self.flat = FlatParameters(tensors)
        self.gradient = torch.zeros_like(self.flat.buffer)
        self.update = UPDATE_RULES["adam"](self.flat, config)
        self.weights = [p.detach() for p in self.flat.parameters[0::2]]
        self.biases = [p.detach() for p in self.flat.parameters[1::2]]
        self.views, offset = [], 0
        for parameter in self.flat.parameters:
            self.views.append(self.gradient[offset : offset + parameter.numel()].view_as(parameter))
            offset += parameter.numel()

    def step(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """One step of all candidates; their losses ``(K,)`` before it."""
        count = len(self.kernels)
        inputs, before = [x.expand(count, *x.shape)], []
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            value = torch.baddbmm(bias, inputs[-1], weight)
            if layer < len(self.weights) - 1:
                before.append(value)
                value = torch.stack([kernels[layer].forward(value[k], ()) for k, kernels in enumerate(self.kernels)])
                inputs.append(value)
        logarithms = torch.log_softmax(value, 2)
        labels = y.expand(count, -1).unsqueeze(2)
        losses = -logarithms.gather(2, labels).mean((1, 2))
        grad = logarithms.exp_().scatter_add_(2, labels, torch.full(labels.shape, -1.0)).div_(len(y))
        for layer in range(len(self.weights) - 1, -1, -1):
            torch.bmm(inputs[layer].transpose(1, 2), grad, out=self.views[2 * layer])
            torch.sum(grad, 1, keepdim=True, out=self.views[2 * layer + 1])
            if layer:
                grad = torch.bmm(grad, self.weights[layer].transpose(1, 2))
                grad = torch.stack(
                    [k[layer - 1].backward(grad[i], before[layer - 1][i], ())[0] for i, k in enumerate(self.kernels)]
                )
        self.update(self.gradient, 1e-3)
        return losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data")
    parser.add_argument("--candidates", type=int, nargs="+", default=[1, 4, 8, 32])
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    task = TASKS["fashion14-deep"](arguments.data)
    train, batch = task.dataset.train, task.config.batch
    batches = list(zip(train.x[: STEPS * batch].split(batch), train.y[: STEPS * batch].split(batch), strict=True))[:39]

    def models(count: int) -> list[torch.nn.Sequential]:
        return [task.build(lambda k=k: symact.Activation(FUNCTIONS[k % 8]), 0)[0] for k in range(count)]

    def alone(kind: Callable[..., object], count: int) -> torch.Tensor:
        losses = []
        for model in models(count):
            flat = FlatParameters(list(model.parameters()))
            compute, update = kind(model, flat, 0.0), UPDATE_RULES["adam"](flat, task.config)
            for x, y in batches:
                loss, gradient = compute(x, y)
                loss.item()
                update(gradient, 1e-3)
            losses.append(loss)
        return torch.stack(losses)

    def together(count: int) -> torch.Tensor:
        stacked = Stacked(models(count), task.config)
        for x, y in batches:
            losses = stacked.step(x, y)
        return losses

    results = {}
    for count in arguments.candidates:
        ways = {
            "one by one, torch calls": lambda count=count: alone(Chain, count),
            "one by one, native": lambda count=count: alone(NativeChain.of, count),
            "stacked": lambda count=count: together(count),
        }
        found = [way() for way in ways.values()]
        for losses in found[1:]:
            torch.testing.assert_close(losses, found[0], rtol=1e-3, atol=1e-4)
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(arguments.repeats):
            for name, way in ways.items():
                start = time.process_time()
                way()
                seconds[name].append((time.process_time() - start) / count / len(batches))
        results[f"{count} candidates"] = {name: statistics.median(s) * 1e6 for name, s in seconds.items()}
    (HERE / "stacked.json").write_text(json.dumps({"microseconds per step and candidate": results}, indent=1))
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
