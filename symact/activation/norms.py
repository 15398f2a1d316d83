"""Activations in the place of normalizations: `replace_norms`.

A layer without normalization needs a bounded function in its place, with a scale and a shift for each channel:
`weight*tanh(alpha*x) + bias` is DyT (Zhu et al. 2025, arXiv:2503.10622), `weight*erf(alpha*x + s) + bias` is Derf
(arXiv:2512.10938). One kernel computes it, and one all gradients, those of the parameters summed on the way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import torch
from torch import nn

from symact.activation.module import Activation
from symact.activation.replacement import Replacement, named, places, settled_beside
from symact.errors import InputError
from symact.expr.operators import Parameter, Vocabulary
from symact.expr.tree import Expr, of_x_alone, parse

# What is replaced unless `of` says otherwise.
NORMS: tuple[type[nn.Module], ...] = (nn.LayerNorm, nn.RMSNorm)
# What formulas may name without a grammar, one value a layer. Initial values are those of the papers.
PARAMETERS = Vocabulary(
    parameters={
        "alpha": Parameter("alpha", init=0.5),
        "beta": Parameter("beta", init=1.0),
        "s": Parameter("s", init=0.0),
    }
)
_AFFINE = Vocabulary(
    parameters={
        "weight": Parameter("weight", init=1.0, per="channel"),
        "bias": Parameter("bias", init=0.0, per="channel"),
    }
)
# Normalizations of other libraries, which are known by the names of their classes.
_OTHERS = re.compile(r"(RMS|Rms|Layer)Norm")


def replace_norms(
    model: nn.Module,
    expr: Expr | str | Callable[[], nn.Module],
    affine: bool = True,
    of: Sequence[type[nn.Module]] = NORMS,
    grammar: Vocabulary | None = None,
) -> Replacement:
    """Replace the normalizations of a model by an activation, in place.

    Args:
        model: any model.
        expr: an expression, its text, or a callable that makes a module. Without a grammar a formula may name `alpha`
            (0.5 at first), `beta` (1) and `s` (0), which have one value a layer.
        affine: whether the result is scaled and shifted, `weight*f(x) + bias`, with one value per channel each; those
            of PyTorch's own normalizations are taken over.
        of: classes to replace, with their subclasses. By default also classes of other libraries that are called so and
            have a weight of one dimension.
        grammar: the grammar of an expression given as text.

    Returns:
        What was replaced and what could not be.

    Raises:
        InputError: the expression cannot be read, is of two inputs, or has a parameter `weight` or `bias` beside those.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"replace_norms takes a torch module, not {type(model).__name__}")
    whole = None if callable(expr) else _whole(expr, affine, grammar or PARAMETERS)
    report, made = Replacement(model, what="normalizations"), dict[nn.Module, nn.Module]()
    for parent, name, place in list(places(model)):
        old = parent._modules[name]
        if old is None or old in made.values():
            continue
        if not (isinstance(old, tuple(of)) or (tuple(of) == NORMS and _OTHERS.search(type(old).__name__))):
            continue
        channels = _channels(old)
        if channels is None:
            reason = "it has no one dimension of channels: its weight is of other than one dimension"
            report.not_replaced.append((place, type(old).__name__, reason))
            continue
        if old not in made:
            new = expr() if callable(expr) else _activation(whole, old, channels)
            made[old] = settled_beside(new, old, parent, model)
        parent._modules[name] = made[old]
        report.replaced.append((place, type(old).__name__, named(made[old])))
    if not report.replaced and not report.not_replaced:
        report.hints = [f"the model has no {' or '.join(kind.__name__ for kind in of)}; name other classes in of="]
    return report


def _whole(expr: Expr | str, affine: bool, vocabulary: Vocabulary) -> Expr:
    inner = of_x_alone(parse(expr, vocabulary) if isinstance(expr, str) else expr, "replace_norms")
    if not affine:
        return inner
    taken = {p.name for p in inner.parameters} & {"weight", "bias"}
    if taken:
        raise InputError(f"{inner} has a parameter {min(taken)}, which affine=True makes: give affine=False")
    return Expr(parse("weight*x + bias", _AFFINE).operator, (inner,))


def _channels(norm: nn.Module) -> int | None:
    """How many channels a normalization has; None where it has no one dimension of them."""
    shape = getattr(norm, "normalized_shape", None)
    weight = getattr(norm, "weight", None)
    if shape is None and isinstance(weight, torch.Tensor):
        shape = tuple(weight.shape)
    return int(shape[0]) if isinstance(shape, tuple | list | torch.Size) and len(shape) == 1 else None


def _activation(expr: Expr | None, old: nn.Module, channels: int) -> Activation:
    assert expr is not None
    # Classes for images that are called so move the channels to the end themselves.
    dimension = 1 if "2d" in type(old).__name__ else -1
    new = Activation(expr, channel_dim=dimension)
    new.settle(channels, dimension)
    if isinstance(old, NORMS):
        with torch.no_grad():
            for name, own in new.named_parameters(recurse=False):
                given = getattr(old, name, None)
                if name in ("weight", "bias") and isinstance(given, torch.Tensor):
                    own.copy_(given)
    return new
