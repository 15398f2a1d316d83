"""Eigenvalues of the Fisher information matrix at initialization, as features of an activation.

In: an untrained network, a batch. Out: for every Linear, Conv2d and depthwise Conv2d layer the
cumulative distribution of the logarithms of the eigenvalues of its Fisher block, and the layer's
number of weights. The block is approximated by a Kronecker product (K-FAC, arXiv:1503.05671):

    F = A (x) G,   eigenvalues of F = products of those of A and G,

A is the second moment of the layer's input with the bias as a column of ones, G that of the loss
gradient at its output. For a convolution (KFC, arXiv:1602.01407, equations 30 to 32) the rows are the
input patches: A sums over positions and averages over the batch, G averages over both. Layers that
are applied at many positions (Linear on sequences) are treated alike, and a grouped convolution
averages A over its groups, so that the number of eigenvalues is always the number of weights.

Choices, those of AQuaSurF (arXiv:2301.05785) unless said: the gradient uses the true labels (the
"empirical" Fisher); the gradients are those of single examples (AQuaSurF takes those of the mean loss, a shift of
every logarithm by the same amount, which no distance between functions sees); batch normalization
uses the batch's statistics and dropout is off.

An eigenvalue below the rounding error of its factor cannot be told from zero and is counted below
every bin; a plain logarithm would report the noise, or NaN where the noise is negative.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import lapack
from torch import nn
from torch.nn import functional

from symact.tasks.kronecker_factors import LayerRecord, gradient_factor, input_factor

# One bin per two units of the natural logarithm, as AQuaSurF's published CDFs.
EDGES = np.linspace(-100.0, 100.0, 101)


@dataclass(frozen=True)
class FisherFeatures:
    """Features of one function.

    Attributes:
        cdf: ``(layers, 100)``, fraction of a layer's log-eigenvalues below each bin's right edge.
        weights: ``(layers,)``, number of weights of each layer.
        finite: every activation and gradient was finite; when False, `cdf` is zero.
    """

    cdf: np.ndarray
    weights: np.ndarray
    finite: bool


class FisherProbe:
    """Fisher features on one fixed batch; remembers what depends on the batch alone.

    Args:
        x: inputs, ``(n, ...)``.
        y: labels ``(n,)``; None draws them from the model's own distribution (the true Fisher) with a fixed seed.
    """

    def __init__(self, x: torch.Tensor, y: torch.Tensor | None):
        self.x, self.y = x.detach(), y
        self._known: dict[tuple[object, ...], np.ndarray] = {}

    def __call__(self, model: nn.Module) -> FisherFeatures:
        """The features of `model` (class scores ``(n, classes)``), which is left as it was."""
        records, gradients = observe(model, self.x, self.y)
        weights = np.array([record.weights for record in records], dtype=np.int64)
        cdf = np.zeros((len(records), len(EDGES) - 1))
        for row, (record, gradient) in enumerate(zip(records, gradients, strict=True)):
            inputs, outputs = self._input_spectrum(record), log_spectrum(gradient_factor(record, gradient))
            if inputs is None or outputs is None:
                return FisherFeatures(np.zeros_like(cdf), weights, False)
            cdf[row] = pairwise_cdf(inputs, outputs)
        return FisherFeatures(cdf, weights, True)

    def _input_spectrum(self, record: LayerRecord) -> np.ndarray | None:
        """Log-eigenvalues of A, kept when the layer reads the batch itself; None when not finite."""
        first = record.inputs[0]
        own = len(record.inputs) == 1 and first.data_ptr() == self.x.data_ptr() and first.shape == self.x.shape
        module = record.module
        shape = (module.kernel_size, module.stride, module.padding) if isinstance(module, nn.Conv2d) else ()
        key = (record.name, tuple(module.weight.shape), shape, module.bias is None)
        if own and key in self._known:
            return self._known[key]
        spectrum = log_spectrum(input_factor(record))
        if own and spectrum is not None:
            self._known[key] = spectrum
        return spectrum


def observe(
    model: nn.Module, x: torch.Tensor, y: torch.Tensor | None
) -> tuple[list[LayerRecord], list[list[torch.Tensor]]]:
    """Run `model` forward and backward once; give each layer's inputs and per-example output gradients.

    Layers are in the order of `model.modules()`; those that were not called are left out. No gradient of a weight is
    computed.
    """
    records: list[LayerRecord] = []
    handles = []
    for name, module in model.named_modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            record = LayerRecord(name, module)
            records.append(record)
            handles.append(module.register_forward_hook(_recorder(record)))
    try:
        with _frozen(model), torch.enable_grad():
            scores = model(x)
            scores = scores.flatten(0, -2) if scores.dim() > 2 else scores
            labels = _drawn(scores) if y is None else y.flatten()
            loss = functional.cross_entropy(scores, labels, reduction="sum")
            records = [record for record in records if record.outputs]
            outputs = [output for record in records for output in record.outputs]
            flat = torch.autograd.grad(loss, outputs, materialize_grads=True)
    finally:
        for handle in handles:
            handle.remove()
    gradients, at = [], 0
    for record in records:
        gradients.append(list(flat[at : at + len(record.outputs)]))
        at += len(record.outputs)
    return records, gradients


def log_spectrum(factor: torch.Tensor) -> np.ndarray | None:
    """Ascending natural logarithms of the eigenvalues of a symmetric positive matrix; -inf for rounding noise.

    None where the matrix is not finite: a sum of squares is finite only if all of its terms are.
    """
    if factor.device.type == "cpu":
        matrix = factor.numpy()
        if not np.isfinite(matrix).all():
            return None
        # LAPACK itself: on small matrices SciPy's checks take longer than the eigenvalues. The workspace is that of
        # blocks of 64 columns.
        solve = lapack.dsyevd if matrix.dtype == np.float64 else lapack.ssyevd
        values, _, failed = solve(matrix, compute_v=0, lwork=66 * len(matrix) + 1)
        if failed:
            return None
    else:
        if not bool(torch.isfinite(factor).all()):
            return None
        values = torch.linalg.eigvalsh(factor).cpu().numpy()
    values = values.astype(np.float64)
    # Products accumulated in double precision still carry the square of the activations' own error.
    single = float(torch.finfo(torch.float32).eps)
    relative = len(values) * single**2 if factor.dtype == torch.float64 else math.sqrt(len(values)) * single
    noise = max(values[-1], 0.0) * relative
    result = np.full(len(values), -np.inf)
    np.log(values, out=result, where=values > noise)
    return result


def pairwise_cdf(a: np.ndarray, b: np.ndarray, edges: np.ndarray = EDGES) -> np.ndarray:
    """Fraction of the sums ``a_i + b_j`` below each right edge, without forming the sums.

    Both inputs are sorted. One binary search per bin and element of the shorter one.
    """
    if len(a) < len(b):
        a, b = b, a
    with np.errstate(invalid="ignore"):
        targets = edges[None, 1:] - b[:, None]
    # -inf (a zero eigenvalue) makes the target +inf: all of `a` lies below it.
    counts = np.searchsorted(a, targets.ravel(), side="left").reshape(targets.shape)
    return np.asarray(counts.sum(0) / (len(a) * len(b)))


def _recorder(record: LayerRecord):  # type: ignore[no-untyped-def]
    def hook(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        if not output.requires_grad:
            output.requires_grad_()
        record.inputs.append(inputs[0])
        record.outputs.append(output)
        return output

    return hook


def _drawn(scores: torch.Tensor) -> torch.Tensor:
    probabilities = torch.softmax(scores.detach().double(), -1).cpu()
    if not bool(torch.isfinite(probabilities).all()):
        return torch.zeros(len(scores), dtype=torch.int64, device=scores.device)
    generator = torch.Generator().manual_seed(0)
    return torch.multinomial(probabilities, 1, generator=generator)[:, 0].to(scores.device)


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """No weight gradients, no in-place activations, dropout off, batch statistics without running updates."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    changed: list[tuple[nn.Module, str, object]] = []

    def change(module: nn.Module, name: str, value: object) -> None:
        changed.append((module, name, getattr(module, name)))
        setattr(module, name, value)

    for parameter in parameters:
        parameter.requires_grad_(False)
    for module in model.modules():
        change(module, "training", False)
        if getattr(module, "inplace", False) is True:
            change(module, "inplace", False)
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
            # Without running statistics, evaluation mode normalizes by the batch.
            change(module, "running_mean", None)
            change(module, "running_var", None)
    try:
        yield
    finally:
        for module, name, value in reversed(changed):
            setattr(module, name, value)
        for parameter in parameters:
            parameter.requires_grad_(True)
