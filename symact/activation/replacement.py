"""What surgery on a model did, and what all of it needs: places in a model, and new modules like those beside them."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass, field

from torch import Tensor, nn

from symact.errors import InputError


@dataclass
class Replacement:
    """What was replaced in a model.

    Attributes:
        model: the model, edited in place.
        replaced: (qualified name, what was there, what is there now), in the order of the model.
        not_replaced: (qualified name, what is there, why it was left).
        hints: where nothing was found, what to do.
        what: what was looked for.
    """

    model: nn.Module = field(repr=False)
    replaced: list[tuple[str, str, str]] = field(default_factory=list)
    not_replaced: list[tuple[str, str, str]] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    what: str = "activations"

    def __len__(self) -> int:
        return len(self.replaced)

    def __str__(self) -> str:
        lines = [f"replaced {len(self.replaced)} {self.what}, left {len(self.not_replaced)}"]
        width = max((len(name) for name, _, _ in (*self.replaced, *self.not_replaced)), default=0)
        lines += [f"  {name:{width}}  {old} -> {new}" for name, old, new in self.replaced]
        lines += [f"  {name:{width}}  {old} left: {reason}" for name, old, reason in self.not_replaced]
        lines += [f"  {hint}" for hint in self.hints]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = [(n, o, f"→ {new}") for n, o, new in self.replaced]
        rows += [(n, o, f"left: {reason}") for n, o, reason in self.not_replaced]
        cells = "".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>" for row in rows)
        head = "<tr><th>where</th><th>was</th><th>now</th></tr>"
        said = "".join(f"<p>{html.escape(line)}</p>" for line in (str(self).splitlines()[0], *self.hints))
        return f"{said}<table>{head}{cells}</table>"


def settled_beside(new: nn.Module, old: nn.Module | None, around: nn.Module, model: nn.Module) -> nn.Module:
    """A new module with the device, dtype and mode of the one that it replaces, or of the modules round it.

    Raises:
        InputError: it is no module.
    """
    if not isinstance(new, nn.Module):
        raise InputError(f"the factory gave {type(new).__name__}, not a torch module")
    like = next(floating(old, around, model), None)
    if like is not None:
        new = new.to(device=like.device, dtype=like.dtype)
    return new.train((around if old is None else old).training)


def places(model: nn.Module) -> Iterator[tuple[nn.Module, str, str]]:
    """(parent, name in it, qualified name) of every submodule, shared ones in each of their places."""
    for name, parent in model.named_modules(remove_duplicate=False):
        for child_name in parent._modules:
            yield parent, child_name, f"{name}.{child_name}" if name else child_name


def floating(*modules: nn.Module | None) -> Iterator[Tensor]:
    """Floating parameters of modules, those of the first one first."""
    for module in modules:
        if module is not None:
            yield from (p for p in module.parameters() if p.is_floating_point())


def named(module: nn.Module) -> str:
    """A module for a person, on one line."""
    return str(module) if len(str(module)) <= 60 and "\n" not in str(module) else type(module).__name__


def first_line(error: Exception) -> str:
    """The first line of what an error says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
