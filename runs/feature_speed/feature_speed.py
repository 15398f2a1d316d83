"""CPU seconds per function of the Fisher features, beside a NumPy baseline that goes AQuaSurF's way.

    python runs/feature_speed/feature_speed.py [--data DIR] [--batch 64]

Both sides get the same network, batch and torch's autograd, on one thread, one after the other. The baseline is the
published procedure written plainly: one backward pass per layer, patches by shifting the image (all positions, the
strided ones picked after), a column of ones before them (`numpy.ones`, which makes the matrix double precision, as
published; `single` keeps it in single), second moments by `numpy.matmul`, `scipy.linalg.eigh`, every sum of two
logarithms in a list, a histogram of the list.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.linalg
import torch
from torch import nn
from torch.nn import functional

import symact
from symact.tasks import TASKS
from symact.tasks.fisher import EDGES, FisherProbe, log_spectrum, observe, pairwise_cdf
from symact.tasks.kronecker_factors import gradient_factor, input_factor
from symact.tasks.networks import all_cnn_c

HERE = Path(__file__).parent


def patches(x: np.ndarray, layer: nn.Conv2d, ones: type) -> np.ndarray:
    """Rows of patches of an image batch ``(n, height, width, channels)``, after a column of ones."""
    kernel, stride, padding = layer.kernel_size[0], layer.stride[0], layer.padding[0]
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    shifted = []
    for i in range(kernel):
        for j in range(kernel):
            moved = np.roll(np.roll(x, -i, axis=1), -j, axis=2)
            moved = moved[:, : x.shape[1] - kernel + 1, : x.shape[2] - kernel + 1]
            shifted.append(moved.reshape(len(x), -1, x.shape[3]))
    rows = np.stack(shifted, axis=2)
    height, width = x.shape[1] - kernel + 1, x.shape[2] - kernel + 1
    kept = (np.indices((height, width)) % stride == 0).all(0).ravel()
    rows = rows[:, kept].reshape(-1, kernel * kernel * x.shape[3])
    return np.concatenate([np.ones((len(rows), 1), ones), rows], axis=1)


class Plain:
    """AQuaSurF's way; `seconds` adds up the CPU time of each step over the calls.

    Args:
        ones: type of the column of ones, and so of all that follows from it.
    """

    def __init__(self, model: nn.Module, x: torch.Tensor, y: torch.Tensor, ones: type = np.float64):
        self.model, self.x, self.y, self.ones = model, x, y, ones
        self.seconds: dict[str, float] = {}

    def step(self, name: str, function: Callable[[], object]) -> object:
        start = time.process_time()
        result = function()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - start
        return result

    def __call__(self) -> list[np.ndarray]:
        """The distribution of every layer."""
        seen: list[tuple[nn.Module, torch.Tensor, torch.Tensor]] = []
        handles = [
            module.register_forward_hook(lambda m, i, o: seen.append((m, i[0], o)))
            for module in self.model.modules()
            if isinstance(module, (nn.Linear, nn.Conv2d))
        ]
        loss = self.step("forward and backward", lambda: functional.cross_entropy(self.model(self.x), self.y))
        for handle in handles:
            handle.remove()
        found = []
        for layer, inputs, output in seen:
            (gradient,) = self.step(
                "forward and backward", lambda output=output: torch.autograd.grad(loss, output, retain_graph=True)
            )
            a, g = self.step("factors", lambda where=(layer, inputs, gradient): self.factors(*where))
            with np.errstate(all="ignore"):
                spectra = self.step(
                    "eigenvalues", lambda pair=(a, g): [np.log(scipy.linalg.eigh(m, eigvals_only=True)) for m in pair]
                )
            found.append(self.step("distribution of the sums", lambda spectra=spectra: plain_cdf(*spectra)))
        return found

    def factors(self, layer: nn.Module, inputs: torch.Tensor, gradient: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Second moments of inputs and gradients."""
        inputs = inputs.detach()
        if isinstance(layer, nn.Conv2d):
            rows = patches(inputs.permute(0, 2, 3, 1).numpy(), layer, self.ones)
            flat = gradient.permute(0, 2, 3, 1).reshape(-1, gradient.shape[1]).numpy()
        else:
            rows = np.concatenate([np.ones((len(inputs), 1), self.ones), inputs.numpy()], axis=1)
            flat = gradient.numpy()
        return np.matmul(rows.T, rows) / len(inputs), np.matmul(flat.T, flat) / len(flat)


def plain_cdf(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    """All pairwise sums in a list, then a histogram."""
    sums = [one + other for one in a for other in g]
    counts, _ = np.histogram(np.nan_to_num(sums, nan=-np.inf), bins=EDGES)
    return np.cumsum(counts) / len(sums)


def timed(function: Callable[[], object], repeats: int) -> float:
    """Median CPU seconds of `repeats` calls after one that is not counted."""
    function()
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)


STEPS = ("forward and backward", "factors", "eigenvalues", "distribution of the sums")


def all_cnn(batch: int, repeats: int) -> dict[str, dict[str, float]]:
    """CPU seconds of the whole road and of its steps on All-CNN-C, each side."""
    torch.manual_seed(0)
    x, y = torch.randn(batch, 3, 32, 32), torch.randint(0, 10, (batch,))
    model = all_cnn_c(lambda: nn.ReLU(), dropout=False)
    probe = FisherProbe(x, y)
    ours = {"whole": timed(lambda: probe(model), repeats)}
    records, gradients = observe(model, x, y)
    pairs = list(zip(records, gradients, strict=True))
    factors = [(input_factor(r), gradient_factor(r, g)) for r, g in pairs]
    spectra = [(log_spectrum(a), log_spectrum(g)) for a, g in factors]
    steps = (
        lambda: observe(model, x, y),
        lambda: [(input_factor(r), gradient_factor(r, g)) for r, g in pairs[1:]],
        # The probe knows the first layer's inputs already: they are the batch.
        lambda: [log_spectrum(m) for pair in factors for m in pair],
        lambda: [pairwise_cdf(a, g) for a, g in spectra],
    )
    ours |= {name: timed(step, repeats) for name, step in zip(STEPS, steps, strict=True)}
    result = {"ours": ours}
    for name, ones in (("AQuaSurF's way", np.float64), ("AQuaSurF's way, single", np.float32)):
        plain = Plain(model, x, y, ones)
        plain()
        plain.seconds.clear()
        for _ in range(repeats):
            plain()
        row = {step: seconds / repeats for step, seconds in plain.seconds.items()}
        result[name] = {"whole": sum(row.values())} | row
        result["ratio to " + name] = {step: result[name][step] / ours[step] for step in ours}
    return result


def deep(data: str | None, repeats: int = 40) -> dict[str, float]:
    """Seconds per function not seen before, `fashion14-deep` (`digits-deep` without its data)."""
    task = TASKS["fashion14-deep" if data else "digits-deep"](data)
    texts = [f"x*sigmoid({1 + k / 100}*x)" for k in range(repeats)] + [f"tanh({1 + k / 100}*x)" for k in range(repeats)]
    task.features(lambda: symact.Activation("relu(x)"))
    seconds = []
    for text in texts:
        expr = symact.parse(text)
        start = time.process_time()
        task.features(lambda expr=expr: symact.Activation(expr))
        seconds.append(time.process_time() - start)
    return {f"{task.name}, median": statistics.median(seconds), f"{task.name}, fastest": min(seconds)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results = {"machine": platform.machine(), "torch": torch.__version__, "numpy": np.__version__}
    results["new function"] = deep(arguments.data)
    results[f"All-CNN-C, batch {arguments.batch}"] = all_cnn(arguments.batch, arguments.repeats)
    (HERE / "results.json").write_text(json.dumps(results, indent=1))
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
