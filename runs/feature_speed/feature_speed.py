"""CPU seconds per function of the Fisher features, beside a NumPy baseline that goes AQuaSurF's way.

    python runs/feature_speed/feature_speed.py [--data DIR] [--batch 64]

Both sides get the same network, batch and torch's autograd, on one thread, one after the other. The baseline is the
published procedure written plainly: patches by shifting the image (all positions, the strided ones picked after),
second moments, `scipy.linalg.eigh`, every sum of two logarithms in a list, a histogram of the list.
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
from symact.tasks.fisher import EDGES, FisherProbe, gradient_factor, input_factor, log_spectrum, observe, pairwise_cdf
from symact.tasks.networks import all_cnn_c

HERE = Path(__file__).parent


def patches(x: np.ndarray, layer: nn.Conv2d) -> np.ndarray:
    """Rows of patches of an image batch ``(n, height, width, channels)``."""
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
    return np.concatenate([np.ones((len(rows), 1), rows.dtype), rows], axis=1)


def plain_spectra(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> list[tuple[np.ndarray, np.ndarray]]:
    """Logarithms of the eigenvalues of both factors of every layer; one backward pass per layer."""
    seen: list[tuple[nn.Module, torch.Tensor, torch.Tensor]] = []
    handles = [
        module.register_forward_hook(lambda m, i, o: seen.append((m, i[0], o)))
        for module in model.modules()
        if isinstance(module, (nn.Linear, nn.Conv2d))
    ]
    loss = functional.cross_entropy(model(x), y)
    for handle in handles:
        handle.remove()
    spectra = []
    for layer, inputs, output in seen:
        (gradient,) = torch.autograd.grad(loss, output, retain_graph=True)
        if isinstance(layer, nn.Conv2d):
            rows = patches(inputs.detach().permute(0, 2, 3, 1).numpy(), layer)
            flat = gradient.permute(0, 2, 3, 1).reshape(-1, gradient.shape[1]).numpy()
        else:
            rows = np.concatenate([np.ones((len(inputs), 1), np.float32), inputs.detach().numpy()], axis=1)
            flat = gradient.numpy()
        a, g = np.matmul(rows.T, rows) / len(x), np.matmul(flat.T, flat) / len(flat)
        with np.errstate(all="ignore"):
            spectra.append(tuple(np.log(scipy.linalg.eigh(m, eigvals_only=True)) for m in (a, g)))
    return spectra


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


def all_cnn(batch: int, repeats: int) -> dict[str, float]:
    """Whole road and the road from spectra to the distributions, both sides, All-CNN-C."""
    torch.manual_seed(0)
    x, y = torch.randn(batch, 3, 32, 32), torch.randint(0, 10, (batch,))
    model = all_cnn_c(lambda: nn.ReLU(), dropout=False)
    probe = FisherProbe(x, y)
    row = {"ours": timed(lambda: probe(model), repeats)}
    row["AQuaSurF's way"] = timed(lambda: [plain_cdf(a, g) for a, g in plain_spectra(model, x, y)], repeats)
    records, gradients = observe(model, x, y)
    row["ours: forward and backward"] = timed(lambda: observe(model, x, y), repeats)
    row["ours: factors"] = timed(
        lambda: [(input_factor(r), gradient_factor(r, g)) for r, g in zip(records, gradients, strict=True)], repeats
    )
    factors = [(input_factor(r), gradient_factor(r, g)) for r, g in zip(records, gradients, strict=True)]
    row["ours: eigenvalues"] = timed(lambda: [log_spectrum(m) for pair in factors for m in pair], repeats)
    spectra = [(log_spectrum(a), log_spectrum(g)) for a, g in factors]
    row["ours: distribution of the sums"] = timed(lambda: [pairwise_cdf(a, g) for a, g in spectra], 5)
    row["AQuaSurF's way: distribution of the sums"] = timed(lambda: [plain_cdf(a, g) for a, g in spectra], 3)
    return row


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
    results[f"All-CNN-C, batch {arguments.batch}"] = row = all_cnn(arguments.batch, arguments.repeats)
    row["ratio, whole"] = row["AQuaSurF's way"] / row["ours"]
    row["ratio, sums"] = row["AQuaSurF's way: distribution of the sums"] / row["ours: distribution of the sums"]
    (HERE / "results.json").write_text(json.dumps(results, indent=1))
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
