"""`Gate`: a function of two tensors as an `nn.Module`, the activation of a gated layer.

`x` is what the nonlinearity acts on, `g` what it is multiplied with, as a rule two projections of one tensor: SwiGLU is
`Gate("x*sigmoid(x)*g")`, called on `gate_proj(h)` and `up_proj(h)`. Models that make both by one matrix call `packed`.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.fx import Proxy

from symact.activation.module import FormulaModule, expression_of
from symact.activation.packed import Layout, halves
from symact.activation.runner import checked
from symact.errors import InputError
from symact.expr.operators import Vocabulary
from symact.expr.tree import Expr


class Gate(FormulaModule):
    """A formula of `x` and `g` as a module of two tensors; its learnable parameters are those of a `FormulaModule`.

    Args:
        expr: an expression or its text; one of `x` alone is a gate that ignores `g`.
        grammar: the grammar whose operators and parameters it names; without, `x` and `g` are the inputs.
        channels: number of channels, for one value of every parameter per channel.
        channel_dim: the dimension that counts channels, of the result.

    Raises:
        FormulaError: the text cannot be read.
        InputError: a parameter is called `g`.
    """

    _usual_dim = -1

    def __init__(
        self,
        expr: Expr | str,
        grammar: Vocabulary | None = None,
        channels: int | None = None,
        channel_dim: int = -1,
    ):
        given = expression_of(expr, grammar)
        if any(parameter.name == "g" for parameter in given.parameters):
            raise InputError(f"{given} has a parameter g, and g is the second input of a gate: call it something else")
        super().__init__(given, 2, channels, channel_dim)

    def forward(self, x: Tensor, g: Tensor) -> Tensor:
        """The gate at `x` and `g`, whose shapes and dtypes go together as for `torch.mul`."""
        if isinstance(x, Proxy) or isinstance(g, Proxy):
            leaf: Tensor = self._as_leaf(x, g)
            return leaf
        if self._waiting:
            self._meet(x)
        return self._runner.of_two(x, g, self._values(), self._dimension(x))

    def packed(self, h: Tensor, interleaved: bool = False, x_last: bool = False) -> Tensor:
        """The gate at the two halves of the last dimension of a tensor, of half as many elements.

        Args:
            h: `x`, then `g`, along its last dimension.
            interleaved: they take turns instead: `x` at even places, `g` at odd ones.
            x_last: `g` is first, as in `nn.GLU`: `x` is the second half, or stands at odd places.

        Raises:
            InputError: the last dimension has an odd size, or there is none.
        """
        layout = Layout(interleaved, x_last)
        if isinstance(h, Proxy):
            return self.forward(*halves(h, layout))
        h = checked(h)
        if not h.dim() or h.shape[-1] % 2:
            raise InputError(f"a packed tensor has two halves along its last dimension; got shape {tuple(h.shape)}")
        if self._waiting:
            self._meet(h.chunk(2, -1)[0])
        return self._runner.packed(h, layout, self._values(), self._dimension(h))


class PackedGate(nn.Module):
    """A gate, in its mode, as a module of one tensor that holds `x` and `g`, as `nn.GLU` is; see `Gate.packed`."""

    def __init__(self, gate: Gate, interleaved: bool = False, x_last: bool = False):
        super().__init__()
        self.gate, self.interleaved, self.x_last = gate, interleaved, x_last
        self.train(gate.training)

    def forward(self, h: Tensor) -> Tensor:
        """The gate at the two halves of the last dimension."""
        return self.gate.packed(h, self.interleaved, self.x_last)

    def extra_repr(self) -> str:
        """What `print(module)` shows."""
        return ", ".join(f"{name}=True" for name in ("interleaved", "x_last") if getattr(self, name))
