"""`Activation`: a formula as an `nn.Module`; `compile`: a formula as a function of tensors.

A function of two inputs is a `Gate` (`gate.py`); what it shares with an activation is a `FormulaModule`.

Both take an expression or its text, in a grammar's operators or as a formula.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Proxy, Tracer
from torch.nn.parameter import is_lazy

from symact.activation.channels import channel_dimension, place_of_channels
from symact.activation.notebook import shown
from symact.activation.runner import checked, shared_runner
from symact.backends import torch_source
from symact.errors import InputError, SymactError
from symact.expr.formula_text import formula_text
from symact.expr.operators import Parameter, Vocabulary
from symact.expr.tree import Expr, of_x_alone, parse
from symact.program.collection import no_collection
from symact.program.pipeline import lower

# The smallest value of a parameter that is declared positive.
POSITIVE_FLOOR = 1e-6


def expression_of(expr: Expr | str, grammar: Vocabulary | None) -> Expr:
    """An expression, read where it is text."""
    return parse(expr, grammar) if isinstance(expr, str) else expr


class CompiledFunction:
    """A differentiable function of a tensor, or of two.

    Attributes:
        expr: the expression.
        program: its forward Program.
        parameters: its learnable parameters; calls may give values for them by name.
    """

    def __init__(self, expr: Expr):
        self.expr = expr
        self.program = lower(expr)
        self.parameters: tuple[Parameter, ...] = expr.parameters
        self._runner = shared_runner(self.program)
        # Whether it takes one tensor and nothing else.
        self._of_x = not self.parameters and self.program.variables == 1

    def __call__(self, x: Tensor, *second: Tensor, **parameters: Tensor | float) -> Tensor:
        """The function at `x`, of any shape and floating dtype; of two inputs, at `x` and `g`.

        Args:
            x: where.
            second: of a function of two inputs, `g`; shape and dtype go with those of `x` as for `torch.mul`.
            parameters: name -> value, a number or a tensor of shape `()` or `(C,)`; else its `init`.

        Raises:
            InputError: an input is no real tensor, there are more or fewer than it takes, or a name is unknown.
        """
        if not parameters and not second and self._of_x:
            return self._runner(x)
        if len(second) != self.program.variables - 1:
            inputs = " and ".join(self.program.inputs[: self.program.variables])
            raise InputError(f"{self.expr} is a function of {inputs}; got {1 + len(second)} tensors")
        x = checked(x)
        if second:
            return self._runner.of_two(x, second[0], self._values(x, parameters))
        return self._runner(x, self._values(x, parameters))

    def jet(self, x: Tensor, order: int, **parameters: Tensor | float) -> tuple[Tensor, ...]:
        """The function at `x` and its derivatives in `x` up to an order, in one pass; see `symact.jet`."""
        of_x_alone(self.expr, "symact.jet")
        x = checked(x)
        return self._runner.jet(x, self._values(x, parameters), order)

    def _values(self, x: Tensor, parameters: dict[str, Tensor | float]) -> tuple[Tensor, ...]:
        unknown = parameters.keys() - {p.name for p in self.parameters}
        if unknown:
            raise InputError(f"{self.expr} has no parameter {sorted(unknown)[0]!r}")
        dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
        values = [parameters.get(p.name, p.init) for p in self.parameters]
        return tuple(v if isinstance(v, Tensor) else torch.tensor(v, dtype=dtype, device=x.device) for v in values)

    def source(self) -> str:
        """The function as text of plain torch operations."""
        return torch_source.source(self.program)

    def __repr__(self) -> str:
        return f"CompiledFunction({str(self.expr)!r})"

    def _repr_latex_(self) -> str:
        return self.expr._repr_latex_()

    def _repr_html_(self) -> str:
        return shown(self.expr, self if self.program.variables == 1 else None)


def compile(expr: Expr | str, grammar: Vocabulary | None = None) -> CompiledFunction:
    """Compile one expression.

    Raises:
        FormulaError: the text cannot be read.
    """
    return CompiledFunction(expression_of(expr, grammar))


def compile_many(exprs: Iterable[Expr | str], grammar: Vocabulary | None = None) -> list[CompiledFunction]:
    """Compile thousands at once, in order.

    Raises:
        FormulaError: a text cannot be read.
    """
    with no_collection():
        return [compile(expr, grammar) for expr in exprs]


class FormulaModule(nn.Module):
    """A formula as a module: its learnable parameters, and the way back to a formula.

    The parameters are `nn.Parameter`s under the names that the grammar gives them, of shape
    `()`, or `(channels,)` with one value per channel. A parameter that is declared
    positive enters the formula as `max(abs(value), 1e-6)`, so that no step of training makes it
    negative or zero; `constants()` and `expression()` give the value that enters.

    Args:
        expr: the expression.
        variables: how many tensors it is a function of.
        channels: number of channels; then every parameter has one value per channel. 1 gives one value for
            all, in shape `(1,)`, as FSDP2's `fully_shard` asks for. Without it, a parameter with
            `per = "channel"` takes its shape at the first call (as in `nn.LazyLinear`): call the model once
            before its parameters are given to an optimizer.
        channel_dim: the dimension that counts channels.
    """

    _usual_dim = 1

    def __init__(self, expr: Expr, variables: int, channels: int | None, channel_dim: int | None):
        super().__init__()
        self.expr, self.channels, self.channel_dim = expr, channels, channel_dim
        self._declared: tuple[Parameter, ...] = self.expr.parameters
        self._names = []
        for parameter in self._declared:
            name = parameter.name if not hasattr(self, parameter.name) else parameter.name + "_"
            self._names.append(name)
            if parameter.per == "channel" and channels is None:
                setattr(self, name, nn.UninitializedParameter())
            else:
                self.register_parameter(name, nn.Parameter(torch.empty(() if channels is None else (channels,))))
        self._waiting = self._uninitialized()
        self._runner = shared_runner(lower(expr, variables))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Give the parameters their initial values, as after `to_empty`; those without a shape yet are left."""
        for name, declared in zip(self._names, self._declared, strict=True):
            if not is_lazy(getattr(self, name)):
                nn.init.constant_(getattr(self, name), float(declared.init))

    def _uninitialized(self) -> bool:
        return any(is_lazy(getattr(self, name)) for name in self._names)

    def _initialize(self, shape: torch.Size) -> None:
        """Give parameters per channel their shape, and their initial values."""
        for name, declared in zip(self._names, self._declared, strict=True):
            parameter = getattr(self, name)
            if is_lazy(parameter):
                parameter.materialize(shape)
                nn.init.constant_(parameter, float(declared.init))
        self._waiting = False

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        saved = next((state_dict[prefix + n] for n in self._names if prefix + n in state_dict), None)
        if self._waiting and saved is not None and not is_lazy(saved):
            self._initialize(saved.shape)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _values(self) -> tuple[Tensor, ...]:
        values = []
        for name, declared in zip(self._names, self._declared, strict=True):
            value = getattr(self, name)
            values.append(torch.clamp(torch.abs(value), min=POSITIVE_FLOOR) if declared.positive else value)
        return tuple(values)

    def _meet(self, x: Tensor) -> Tensor:
        """The first tensor of a module that waits for its channels says how many there are."""
        x = checked(x)
        place = place_of_channels(x, self._dimension(x))
        self._initialize(torch.Size([x.shape[place] if x.dim() else 1]))
        return x

    def _dimension(self, x: Tensor) -> int:
        """The dimension of `x` that counts channels."""
        if self.channel_dim is not None:
            return self.channel_dim
        counts = [getattr(self, name) for name in self._names] if x.dim() == 3 else []
        return channel_dimension(x, max((0 if is_lazy(p) else p.numel() for p in counts), default=1))

    def settle(self, channels: int, channel_dim: int) -> None:
        """Say how many channels there are and where, before the first call; parameters that wait take their shape."""
        self.channel_dim = channel_dim
        self._initialize(torch.Size([channels]))

    @property
    def waiting(self) -> bool:
        """Whether parameters per channel have no shape yet."""
        return self._waiting

    def _as_leaf(self, *tensors: Proxy) -> Any:
        """One node of a torch.fx graph, as PyTorch's own modules are; operations where this module is all of it."""
        tracer = tensors[0].tracer
        if isinstance(tracer, Tracer) and tracer.root is not self:
            return tracer.create_proxy("call_module", tracer.path_of_module(self), tensors, {})
        return self._runner.symbolically(tensors, self._values())

    def mixture_parameters(self) -> list[nn.Parameter]:
        """The parameters that weigh a mixture, which a schedule may train apart from the rest."""
        return [getattr(self, n) for n, p in zip(self._names, self._declared, strict=True) if p.mixture]

    def constants(self) -> dict[str, float | list[float]]:
        """Parameter name -> the value that enters the formula; a list where it is per channel."""
        if self._waiting:
            return {declared.name: declared.init for declared in self._declared}
        values = [value.detach().cpu().double() for value in self._values()]
        numbers = [value.item() if value.numel() == 1 else value.tolist() for value in values]
        return {declared.name: value for declared, value in zip(self._declared, numbers, strict=True)}

    def expression(self) -> str:
        """The formula with its learned constants; it parses again, without a grammar.

        Raises:
            InputError: a parameter has one value per channel.
        """
        return formula_text(self.expr, self.constants())

    def source(self) -> str:
        """The function as text of plain torch operations."""
        return torch_source.source(self._runner.forward)

    def _repr_latex_(self) -> str:
        return self.expr._repr_latex_()

    def _repr_html_(self) -> str:
        names = ", ".join(f"{name} = {value}" for name, value in self.constants().items())
        return shown(self.expr, self._drawn() if len(self.expr.inputs) == 1 else None, names)

    def _drawn(self) -> CompiledFunction:
        """The function with the constants that it has now, for a curve; those per channel have their initial values."""
        try:
            return CompiledFunction(parse(self.expression()))
        except SymactError:
            return CompiledFunction(self.expr)

    def extra_repr(self) -> str:
        """What `print(module)` shows."""
        shown = str(self.expr) + (f", channels={self.channels}" if self.channels is not None else "")
        return shown + (f", channel_dim={self.channel_dim}" if self.channel_dim not in (None, self._usual_dim) else "")


class Activation(FormulaModule):
    """A formula as a drop-in activation module; its learnable parameters are those of a `FormulaModule`.

    Args:
        expr: an expression or its text.
        grammar: the grammar whose operators and parameters it names.
        channels: number of channels, for one value of every parameter per channel.
        inplace: accepted for the sake of `nn.ReLU(inplace=True)`; the result is a new tensor.
        channel_dim: the dimension that counts channels: 1 after convolutions, -1 after `nn.Linear`. Without it, 1; a
            tensor of three dimensions, which both layers make, is then taken only if its sizes tell.

    Raises:
        FormulaError: the text cannot be read.
        InputError: it is a function of two inputs, a `Gate`.
    """

    def __init__(
        self,
        expr: Expr | str,
        grammar: Vocabulary | None = None,
        channels: int | None = None,
        inplace: bool = False,
        channel_dim: int | None = None,
    ):
        given = of_x_alone(expression_of(expr, grammar), "an activation (symact.Gate takes it)")
        super().__init__(given, 1, channels, channel_dim)
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        """The activation at `x`: any shape, floating dtype and layout."""
        if type(x) is not Tensor and isinstance(x, Proxy):
            return self._as_leaf(x)
        if self._waiting:
            x = self._meet(x)
        return self._runner(x, self._values(), self._dimension(x)) if self._names else self._runner(x)

    def jet(self, x: Tensor, order: int) -> tuple[Tensor, ...]:
        """The activation at `x` and its derivatives in `x` up to an order, in one pass; see `symact.jet`."""
        if self._waiting:
            self(x)
        return self._runner.jet(x, self._values(), order, self._dimension(x))
