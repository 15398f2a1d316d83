"""Gates in anybody's model: `replace_gates` finds products of an activation and another tensor, and puts a gate there.

Such a product, `act_fn(gate_proj(x)) * up_proj(x)`, stands in the text of a `forward`, which is traced with torch.fx.
The input of the activation is then the gate's `x`, the other factor its `g`. Where both are halves of one tensor, as in
`x, g = h.chunk(2, -1)`, the gate reads that tensor, and writes one gradient for it. What is not replaced is named, with
the reason.
"""

from __future__ import annotations

import dis
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import fx, nn

from symact.activation.fx_calls import call_text, rewrite, traced
from symact.activation.gate import Gate, PackedGate
from symact.activation.module import FormulaModule
from symact.activation.packed import Layout, layout_of
from symact.activation.replace import ACTIVATIONS, CALLS
from symact.activation.replacement import Replacement, first_line, named, settled_beside
from symact.errors import InputError
from symact.expr.operators import Vocabulary
from symact.expr.tree import Expr

# Activations of other libraries, which are known by the names of their classes.
_HIDDEN = re.compile(r"gelu|silu|swish|relu|elu|mish|softplus|laplace|activation", re.I)
_BOUNDED = re.compile(r"sigmoid|tanh|softmax|softsign", re.I)
_PRODUCTS = (operator.mul, operator.imul, torch.mul, torch.multiply)


def replace_gates(
    model: nn.Module,
    expr: Expr | str | Callable[[], nn.Module],
    of: Sequence[type[nn.Module]] = ACTIVATIONS,
    grammar: Vocabulary | None = None,
) -> Replacement:
    """Replace the gates of a model, in place: products of an activation's values and of another tensor.

    Every site gets a fresh gate, with parameters of its own, on the device and in the dtype of the layers round it. An
    activation that nothing else uses becomes `nn.Identity`.

    Args:
        model: any model.
        expr: a function of `x`, the input of the activation, and of `g`, the other factor; its text; or a callable that
            makes a module of two tensors.
        of: classes of activations that make a product a gate. Sigmoids and their like, as in blocks of squeeze and
            excitation, are named in the report unless they are among them.
        grammar: the grammar of an expression given as text.

    Returns:
        What was replaced and what could not be.

    Raises:
        InputError: the expression cannot be read, or a callable gives no module.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"replace_gates takes a torch module, not {type(model).__name__}")
    if isinstance(expr, nn.Module):
        raise InputError("give an expression or a callable that makes modules; one module would be shared by all sites")
    if not callable(expr) and "g" not in Gate(expr, grammar).expr.inputs:  # A wrong expression is an error here.
        raise InputError(f"{expr} has no g, the other factor, which would be lost; a gate is such as x*sigmoid(x)*g")
    make = expr if callable(expr) else lambda: Gate(expr, grammar)
    return _GateSurgery(model, make, tuple(of)).run()


class _GateSurgery:
    """One run over one model."""

    def __init__(self, model: nn.Module, make: Callable[[], nn.Module], wanted: tuple[type, ...]):
        self.model, self.new, self.wanted = model, make, wanted
        self.report = Replacement(model, what="gates")
        self.functions = {function: kind for kind, (functions, _) in CALLS.items() for function in functions}
        self.methods = {name: kind for kind, (_, name) in CALLS.items()}

    def run(self) -> Replacement:
        """Look at every module that multiplies."""
        for name, module in list(self.model.named_modules()):
            if isinstance(module, nn.GLU):
                self.replace_glu(name, module)
            elif not type(module).__module__.startswith("torch.nn.") and self.looks_gated(module):
                self.look(name, module)
        if not self.report.replaced and not self.report.not_replaced:
            self.report.hints = ["no module multiplies what an activation gives by another tensor"]
        return self.report

    def replace_glu(self, name: str, module: nn.GLU) -> None:
        """Put a packed gate, whose `x` is the second half, in the place of PyTorch's own; or say why not."""
        new, reason = self.new() if nn.GLU in self.wanted and name else None, ""
        if new is None:
            reason = "a sigmoid gates here; name nn.GLU in of= to replace it" if name else "it is the model itself"
        elif module.dim != -1:
            reason = f"its halves lie along dimension {module.dim}, which need not be the last"
        elif not isinstance(new, Gate):
            reason = "it takes one tensor, and the factory gives no symact.Gate, which alone can be given one"
        if reason:
            self.report.not_replaced.append((name, "GLU", reason))
            return
        parent, _, own = name.rpartition(".")
        around = self.model.get_submodule(parent)
        setattr(around, own, PackedGate(settled_beside(new, module, around, self.model), x_last=True))  # type: ignore[arg-type]
        self.report.replaced.append((name, "GLU", f"{named(new)} of one packed tensor"))  # type: ignore[arg-type]

    def looks_gated(self, module: nn.Module) -> bool:
        """Whether a module holds or calls an activation, and multiplies."""
        if isinstance(module, FormulaModule):
            return False
        code = getattr(type(module).forward, "__code__", None)
        if code is None:
            return False
        steps = dis.get_instructions(code)
        multiplies = any(step.argrepr in ("*", "*=") or step.argval in ("mul", "multiply") for step in steps)
        calls = {function.__name__ for function in self.functions} | self.methods.keys()
        held = any(self.kind_of_module(child) is not None for child in module.children())
        return multiplies and (held or bool(calls & set(code.co_names)))

    def kind_of_module(self, module: nn.Module) -> tuple[str, bool] | None:
        """The name of an activation and whether it is wanted; None where a module is none."""
        kind = type(module)
        if kind in CALLS or kind in self.wanted:
            return kind.__name__, kind in self.wanted
        if isinstance(module, FormulaModule):
            return named(module), True
        if any(True for _ in module.parameters()) or isinstance(module, nn.Sequential | nn.Identity):
            return None
        if _BOUNDED.search(kind.__name__):
            return kind.__name__, False
        return (kind.__name__, True) if _HIDDEN.search(kind.__name__) else None

    def kind(self, module: nn.Module, node: fx.Node) -> tuple[str, bool] | None:
        """The same of a node of a graph."""
        if len(node.all_input_nodes) != 1:
            return None
        if node.op == "call_module":
            return self.kind_of_module(module.get_submodule(str(node.target)))
        found = None
        if node.op == "call_function":
            found = self.functions.get(node.target)  # type: ignore[arg-type]
        elif node.op == "call_method":
            found = self.methods.get(str(node.target))
        return None if found is None else (call_text(node), found in self.wanted)

    def look(self, name: str, module: nn.Module) -> None:
        """Replace the gates in a module's forward."""
        place, kind = name or type(module).__name__, type(module).__name__
        try:
            graphs = traced(module)
        except Exception as error:  # Tracing runs the model's own code, which may raise anything.
            reason = f"torch.fx cannot trace {kind}.forward: {first_line(error)}"
            self.report.not_replaced.append((place, kind, reason))
            return
        sites = [list(self.gates(module, graph)) for graph in graphs]
        for _, factor, reason in sites[0]:
            if reason:
                self.report.not_replaced.append((place, f"{factor} in {kind}", reason))
        found = [[(product, activation) for product, activation, reason in own if not reason] for own in sites]
        if not any(found):
            return
        if len({len(own) for own in found}) > 1:
            reason = "its forward makes other products in training than in evaluation"
            self.report.not_replaced.append((place, kind, reason))
            return
        number, exchanged = 0, list[list[tuple[str, ...]]]([[] for _ in graphs])
        for pairs in zip(*found, strict=True):
            while hasattr(module, f"gate_{number}"):
                number += 1
            new = settled_beside(self.new(), None, module, self.model)
            shown, now = self.shown(module, pairs[0][1]), named(new)
            packed = self.packed(module, pairs)
            wholes = list[tuple[str, ...]]([()] * len(pairs))
            if isinstance(packed, str):
                now += f" of two tensors: {packed}" if packed else ""
            elif isinstance(new, Gate):
                new, now = PackedGate(new, *packed[1]), f"{now} of one packed tensor"
                wholes = [(node.name,) for node in packed[0]]
            module.add_module(f"gate_{number}", new)
            for names, (product, activation), whole in zip(exchanged, pairs, wholes, strict=True):
                names.append((product.name, f"gate_{number}", activation.name, *whole))
            where = f"{name}.gate_{number}" if name else f"gate_{number}"
            self.report.replaced.append((where, f"{shown}(x) * g in {kind}", now))
        held = {str(a.target) for own in found for _, a in own if a.op == "call_module"}
        rewrite(module, graphs, tuple(map(tuple, exchanged)))
        still = {str(node.target) for graph in graphs for node in graph.nodes if node.op == "call_module"}
        for target in held - still:
            module.set_submodule(target, nn.Identity().train(module.get_submodule(target).training))

    def packed(self, module: nn.Module, pairs: Sequence[tuple[fx.Node, fx.Node]]) -> tuple[list[fx.Node], Layout] | str:
        """The tensor, in each graph, that holds both inputs of a gate, and how; or why not, if that is to be said."""

        def width(node: fx.Node) -> int | None:
            made = module.get_submodule(str(node.target)) if node.op == "call_module" else None
            return made.out_features if isinstance(made, nn.Linear) else None

        nodes, layouts = list[fx.Node](), set[Layout]()
        for product, activation in pairs:
            other = next(factor for factor in product.all_input_nodes if factor is not activation)
            found = layout_of(activation.all_input_nodes[0], other, width)
            if isinstance(found, str):
                return found
            nodes.append(found[0])
            layouts.add(found[1])
        return (nodes, layouts.pop()) if len(layouts) == 1 else ""

    def shown(self, module: nn.Module, activation: fx.Node) -> str:
        found = self.kind(module, activation)
        assert found is not None
        return found[0]

    def gates(self, module: nn.Module, graph: fx.Graph) -> Iterator[tuple[fx.Node, Any, str]]:
        """Products, their activations, and why they are left, if they are."""
        for node in graph.nodes:
            if node.op == "call_method" and node.target not in ("mul", "mul_", "multiply"):
                continue
            if node.op == "call_function" and node.target not in _PRODUCTS:
                continue
            if node.op not in ("call_method", "call_function") or len(node.all_input_nodes) != 2 or len(node.args) != 2:
                continue
            kinds = [(factor, self.kind(module, factor)) for factor in node.all_input_nodes]
            active = [(factor, kind) for factor, kind in kinds if kind is not None]
            if not active:
                continue
            (activation, (label, is_wanted)), *more = active
            other = next(factor for factor in node.all_input_nodes if factor is not activation)
            # x*sigmoid(x) is an activation, and a product with a parameter is a scale.
            if other is activation.all_input_nodes[0] or other.op == "get_attr":
                continue
            if more:
                yield node, f"{label}, {more[0][1][0]}", "both factors are activations: which of them is the gate's x?"
            elif not is_wanted:
                yield node, label, f"{label} gates here; name its class in of= to replace it"
            elif len(activation.users) > 1:
                yield node, label, "what the activation gives is used elsewhere, too"
            else:
                yield node, activation, ""
