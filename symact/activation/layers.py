"""A class of activations, for libraries that take a class where others take a module."""

from __future__ import annotations

import copyreg
from typing import Any

from symact.activation.module import Activation
from symact.expr.operators import Vocabulary
from symact.expr.tree import Expr


def activation_layer(
    expr: Expr | str,
    grammar: Vocabulary | None = None,
    channels: int | None = None,
    channel_dim: int | None = None,
) -> type[Activation]:
    """A class of activations, for `act_layer=` (timm), `activation_layer=` (torchvision) and `ACT2FN` (Transformers).

    What it makes are plain `Activation`s. Its constructor takes `inplace=` and ignores every other argument,
    as those libraries expect.
    """
    made = Activation(expr, grammar, channels, channel_dim=channel_dim)  # A wrong expression is an error here.

    class Layer(Activation, metaclass=_LayerType):
        made_from = made.expr, None, channels, channel_dim

        def __new__(cls, *_: Any, inplace: bool = False, **__: Any) -> Any:
            return Activation(made.expr, None, channels, inplace, channel_dim)

    Layer.__name__ = Layer.__qualname__ = "Activation"
    Layer.__doc__ = f"The activation {made.expr}."
    return Layer


class _LayerType(type):
    """The class of those classes, so that they are pickled by what they were made from."""

    made_from: tuple[Any, ...]

    def __instancecheck__(cls, instance: object) -> bool:
        """Whether it is an activation of the same function."""
        return isinstance(instance, Activation) and instance.expr == cls.made_from[0]


def _reduced(kind: _LayerType) -> tuple[Any, ...]:
    return activation_layer, kind.made_from


copyreg.pickle(_LayerType, _reduced)
