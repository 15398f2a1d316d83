"""Which dimension of the tensor at an activation counts channels, and how many: seen while an example goes through.

A `Witness` stands in for an activation. What the layer before it gave says where channels are: convolutions and
batch normalization put them second, `nn.Linear` and layer normalization last.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from symact.activation.channels import place_of_channels
from symact.activation.module import Activation
from symact.errors import InputError

# Layers, the attribute that counts their channels, and the dimension that these have.
_LAYERS: tuple[tuple[tuple[type, ...], str, int], ...] = (
    ((_ConvNd,), "out_channels", 1),
    ((_NormBase,), "num_features", 1),
    ((nn.GroupNorm,), "num_channels", 1),
    ((nn.Linear, nn.Bilinear), "out_features", -1),
    ((nn.LayerNorm,), "normalized_shape", -1),
    ((nn.Embedding,), "embedding_dim", -1),
)


def _channels_of(module: nn.Module) -> tuple[int, int] | None:
    """Number and dimension of the channels that a layer gives, or None where it is no such layer."""
    for kinds, attribute, dim in _LAYERS:
        if isinstance(module, kinds):
            count = getattr(module, attribute)
            return (count if isinstance(count, int) else count[-1]), dim
    return None


@contextmanager
def watched(model: nn.Module, witnesses: Iterable[Witness]) -> Iterator[None]:
    """Tell the witnesses which layer of the model ran last."""
    layers = [module for module in model.modules() if _channels_of(module) is not None]
    handles = [layer.register_forward_hook(partial(_note, list(witnesses))) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _note(witnesses: list[Witness], layer: nn.Module, *_: Any) -> None:
    for witness in witnesses:
        witness.before = _channels_of(layer)


class Witness(nn.Module):
    """Stands in for an activation while an example goes through, and notes which channels come.

    Attributes:
        before: number and dimension of the channels that the last layer gave.
    """

    def __init__(self, old: nn.Module | None, channel_dim: int | None):
        super().__init__()
        # In a tuple, so that it is no part of the model any more.
        self.old = (nn.ReLU() if old is None else old,)
        self.given = channel_dim
        self.before: tuple[int, int] | None = None
        self.seen: set[tuple[int, int]] = set()
        self.trouble = "the example does not reach it"

    def forward(self, x: Tensor) -> Tensor:
        """What the activation that stood here gives."""
        dim = self.given if self.given is not None else self.dimension(x)
        if dim is not None:
            self.seen.add((x.shape[place_of_channels(x, dim)] if x.dim() else 1, dim))
        result: Tensor = self.old[0](x)
        return result

    def dimension(self, x: Tensor) -> int | None:
        """The dimension that counts channels: that of the layer before, if its number is found there."""
        if x.dim() <= 2:
            return 1
        if self.before is None and x.dim() > 3:
            return 1
        if self.before is not None:
            count, dim = self.before
            for candidate in (dim, -1 if dim == 1 else 1):
                if x.shape[candidate] == count:
                    return candidate
            if dim == 1:
                return 1
        self.trouble = f"which dimension of its input, of shape {tuple(x.shape)}, counts channels is not clear"
        return None

    def answer(self) -> tuple[int, int]:
        """Number and dimension of the channels.

        Raises:
            InputError: none was seen, or several.
        """
        if len(self.seen) > 1:
            self.trouble = f"it meets other channels at each call ({', '.join(map(str, sorted(self.seen)))})"
        if len(self.seen) != 1:
            raise InputError(self.trouble)
        return next(iter(self.seen))


def settle_channels(model: nn.Module, *inputs: Any) -> None:
    """Give the activations of a model that wait for their channels what an example says of them.

    Parameters with `per = "channel"` then have a shape before an optimizer is made, and count the right dimension: that
    of the layer before the site. A copy of the model runs; where nothing waits, nothing does.

    Args:
        model: changed in place.
        inputs: an example of what its `forward` takes.

    Raises:
        InputError: the example does not tell the channels of a site.
    """
    waiting = [(name, m) for name, m in model.named_modules() if isinstance(m, Activation) and m.waiting]
    if not waiting:
        return
    copied = copy.deepcopy(model).eval()
    witnesses = [Witness(None, module.channel_dim) for _, module in waiting]
    places = {id(copied.get_submodule(name)): witness for (name, _), witness in zip(waiting, witnesses, strict=True)}
    for module in list(copied.modules()):
        for name, child in list(module.named_children()):
            if id(child) in places:
                setattr(module, name, places[id(child)])
    with torch.no_grad(), watched(copied, witnesses):
        copied(*inputs)
    for (name, module), witness in zip(waiting, witnesses, strict=True):
        try:
            module.settle(*witness.answer())
        except InputError as error:
            raise InputError(f"{name}: {error}; give its maker channel_dim=") from None
