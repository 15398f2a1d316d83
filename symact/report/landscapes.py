"""What a network looks like: output landscapes, loss landscapes, and what an activation is used for.

In: a way to make activations, or a trained model. Out: arrays, and figures of them. Three questions:

* `output_landscape`: how smooth a function of two inputs is a random deep network? (as pictured in
  Ramachandran et al. 2017, arXiv:1710.05941, and its replication)
* `loss_landscape`: how does the loss change round a trained minimum, along two random directions
  whose filters have the norms of the network's own (Li et al. 2018, arXiv:1712.09913)?
* `site_inputs`: which inputs does each activation site get, before and after training? This is how
  AQuaSurF (arXiv:2301.05785) found erfc(softplus(x))^2 used like a rectifier at first and like a
  sigmoid in the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from symact.tasks.data import Split
from symact.tasks.mlp_step import mean_loss
from symact.tasks.networks import MakeActivation

if TYPE_CHECKING:
    from matplotlib.figure import Figure


# Colours of a site's inputs before and after training.
BEFORE, AFTER = "tab:orange", "tab:blue"


def output_landscape(
    make_activation: MakeActivation,
    depth: int = 6,
    width: int = 64,
    extent: float = 10.0,
    resolution: int = 200,
    seed: int = 0,
    gain: float = 2.0,
) -> np.ndarray:
    """Output of a random deep network over a square of two inputs, ``(resolution, resolution)``.

    Weights are normal with variance ``gain / inputs``, biases standard normal; row i, column j is the output at
    (x_j, y_i), both from -extent to extent.

    Args:
        make_activation: called once per hidden layer.
        depth: hidden layers.
        width: of each.
        extent: half the side of the square.
        resolution: points per side.
        seed: of the weights; the same weights for every activation.
        gain: variance of a weight times the number of inputs; 2 is He's for ReLU.
    """
    generator = torch.Generator().manual_seed(seed)
    line = torch.linspace(-extent, extent, resolution)
    y, x = torch.meshgrid(line, line, indexing="ij")
    value = torch.stack([x.flatten(), y.flatten()], 1)
    with torch.no_grad():
        for _ in range(depth):
            inputs = value.shape[1]
            weight = torch.randn(inputs, width, generator=generator) * (gain / inputs) ** 0.5
            bias = torch.randn(width, generator=generator)
            value = make_activation()(value @ weight + bias)
        value = value @ (torch.randn(width, 1, generator=generator) / width**0.5)
    pixels: np.ndarray = value.view(resolution, resolution).numpy()
    return pixels


def loss_landscape(
    model: nn.Module, data: Split, extent: float = 1.0, resolution: int = 25, seed: int = 0, batch: int = 1000
) -> np.ndarray:
    """Mean loss on `data` round the model's weights, ``(resolution, resolution)``.

    Row i, column j is the loss at ``weights + a_j first + b_i second`` with a, b from -extent to
    extent. Each filter (row of a weight matrix) of the two random directions has the norm of the
    model's own filter; biases, normalization and activation parameters do not move. The model is
    left as it was.

    Args:
        model: a trained network.
        data: where the loss is measured.
        extent: in units of the filters' norms.
        resolution: points per side; an odd number has the minimum itself in the middle.
        seed: of the directions.
        batch: rows at a time.
    """
    generator = torch.Generator().manual_seed(seed)
    weights = [p for p in model.parameters() if p.dim() > 1]
    kept = [p.detach().clone() for p in weights]
    directions = [[filter_normalized(p, generator) for p in kept] for _ in range(2)]
    line = np.linspace(-extent, extent, resolution)
    losses = np.empty((resolution, resolution))
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for i, b in enumerate(line):
                for j, a in enumerate(line):
                    for p, origin, first, second in zip(weights, kept, *directions, strict=True):
                        p.copy_(origin + a * first + b * second)
                    total = sum(
                        float(mean_loss(model(x), y)) * len(y)
                        for x, y in zip(data.x.split(batch), data.y.split(batch), strict=True)
                    )
                    losses[i, j] = total / len(data)
    finally:
        with torch.no_grad():
            for p, origin in zip(weights, kept, strict=True):
                p.copy_(origin)
        model.train(training)
    return losses


def filter_normalized(weight: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A random direction of the shape of `weight` whose filters (first axis) have the norms of those of `weight`."""
    direction = torch.randn(weight.shape, generator=generator).to(weight)
    norms = [t.flatten(1).norm(dim=1).view(-1, *[1] * (weight.dim() - 1)) for t in (weight, direction)]
    scaled: torch.Tensor = direction * norms[0] / (norms[1] + 1e-10)
    return scaled


def site_inputs(model: nn.Module, activations: Sequence[nn.Module], x: torch.Tensor) -> list[np.ndarray]:
    """All numbers that reach each activation when `model` sees the batch `x`; one flat array per site."""
    seen: list[list[torch.Tensor]] = [[] for _ in activations]

    def keep(site: int):  # type: ignore[no-untyped-def]
        return lambda _module, inputs: seen[site].append(inputs[0].detach().flatten().cpu())

    handles = [activation.register_forward_pre_hook(keep(site)) for site, activation in enumerate(activations)]
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            model(x)
    finally:
        for handle in handles:
            handle.remove()
        model.train(training)
    return [torch.cat(parts).float().numpy() if parts else np.empty(0, np.float32) for parts in seen]


def landscape_figure(
    landscapes: Mapping[str, np.ndarray],
    extent: float,
    label: str,
    logarithmic: bool = False,
    axes: tuple[str, str] = ("", ""),
) -> Figure:
    """Landscapes side by side, one panel per name.

    Args:
        landscapes: title -> square array.
        extent: half the side, in the units of the axes.
        label: of the colour bars.
        logarithmic: contour lines of a positive quantity on a common logarithmic scale, as for losses; else each panel
            has colours of its own.
        axes: names of the two axes.
    """
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(landscapes), 3.9), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(landscapes)))
    finite = np.concatenate([values[np.isfinite(values)] for values in landscapes.values()])
    for panel, (name, values) in zip(panels, landscapes.items(), strict=True):
        line = np.linspace(-extent, extent, len(values))
        shown = np.ma.masked_invalid(values)
        if logarithmic:
            low, high = max(float(finite.min()), 1e-6), float(finite.max())
            levels = np.geomspace(low, high, 18)
            drawn = panel.contourf(line, line, shown.clip(low, high), levels, norm=LogNorm(low, high), cmap="viridis")
            panel.contour(line, line, shown, levels, colors="white", linewidths=0.4)
            panel.plot(0, 0, "+", color="white", markersize=8)
        else:
            drawn = panel.pcolormesh(line, line, shown, cmap="viridis", shading="nearest", rasterized=True)
            figure.colorbar(drawn, ax=panel, shrink=0.85, label=label if panel is panels[-1] else "")
        panel.set_title(name)
        panel.set_xlabel(axes[0])
        panel.set_ylabel(axes[1] if panel is panels[0] else "")
        panel.set_aspect("equal")
    if logarithmic:
        ticks = [
            t for t in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 1000) if levels[0] <= t <= levels[-1]
        ]
        bar = figure.colorbar(drawn, ax=list(panels), shrink=0.85, label=label, ticks=ticks)
        bar.ax.minorticks_off()
        bar.ax.set_yticklabels([f"{t:g}" for t in ticks])
    return figure


def site_histogram(
    before: Sequence[np.ndarray],
    after: Sequence[np.ndarray],
    activations: Sequence[nn.Module],
    title: str = "",
    limit: float = 5.0,
) -> Figure:
    """Histograms of each site's inputs at initialization and after training, under the function's curve.

    Args:
        before: `site_inputs` of the untrained model.
        after: `site_inputs` of the trained model.
        activations: the trained activations, whose curves are drawn.
        title: of the figure.
        limit: inputs from -limit to limit are shown; the share beyond is written over the panel.
    """
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    count = len(activations)
    columns = 4 if count > 9 or count in (4, 7, 8) else min(count, 3)
    rows = -(-count // columns)
    figure = Figure(figsize=(3.4 * columns, 2.5 * rows + 0.8), layout="constrained")
    panels = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    points = torch.linspace(-limit, limit, 401)
    bins = np.linspace(-limit, limit, 81)
    for site, (panel, activation) in enumerate(zip(panels, activations, strict=False)):
        panel.set_title(f"site {site + 1}", fontsize=9, loc="left")
        for values, color in ((before[site], BEFORE), (after[site], AFTER)):
            counts, _ = np.histogram(values, bins)
            # Each is drawn to the same height: the question is where the inputs are, not how many.
            panel.fill_between(
                bins, np.append(counts, 0) / max(counts.max(), 1), step="post", color=color, alpha=0.45, linewidth=0
            )
        outside = float(np.mean(np.abs(after[site]) > limit)) if len(after[site]) else 0.0
        if outside >= 0.005:
            panel.set_title(f"trained: {outside:.0%} beyond", fontsize=7, color=AFTER, loc="right")
        panel.set_ylim(0, 1.08)
        panel.set_yticks([])
        panel.tick_params(labelsize=7)
        curve = panel.twinx()
        with torch.no_grad():
            curve.plot(points, activation(points.to(_device(activation))).cpu(), color="black", linewidth=1.3)
        curve.tick_params(labelsize=7)
    for panel in panels[count:]:
        panel.set_visible(False)
    figure.suptitle(title, fontsize=10)
    handles: list[Artist] = [
        Patch(color=c, alpha=0.45, label=n)
        for c, n in ((BEFORE, "inputs at initialization"), (AFTER, "after training"))
    ]
    handles.append(Line2D([], [], color="black", label="the function (scale at the right)"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figure


def _device(module: nn.Module) -> torch.device:
    return next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
