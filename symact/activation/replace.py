"""Putting activations into anybody's model: `replace_activations`.

Modules (`nn.ReLU()`, ...) are replaced where they stand. Calls (`F.relu(x)`, `x.relu()`, ...) stand in
the text of a `forward`: the modules whose own `forward` makes such calls are traced with torch.fx, each
call becomes a submodule, and the traced forward takes the place of the old one. So the model stays the
same object, with the same names, hooks and state; what cannot be traced is named in the report.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial
from types import FunctionType
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn
from torch.nn.modules import activation as torch_activations

from symact.activation.fx_calls import call_text, function_text, only_a_call, rewrite, traced
from symact.activation.layers import activation_layer
from symact.activation.module import Activation
from symact.activation.replacement import Replacement, first_line, named, places, settled_beside
from symact.activation.site_channels import Witness, watched
from symact.errors import InputError
from symact.expr.operators import Vocabulary
from symact.expr.tree import Expr

Factory = Callable[[], nn.Module]

# What is replaced unless `of` says otherwise: hidden nonlinearities. Gates (Sigmoid, Softmax) are not.
ACTIVATIONS: tuple[type[nn.Module], ...] = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish),
    *(nn.Softplus, nn.PReLU),
)

# Elementwise activations of PyTorch, which a hint may name.
_OTHERS: frozenset[type[nn.Module]] = frozenset(
    getattr(torch_activations, name)
    for name in torch_activations.__all__
    if name not in ("MultiheadAttention", "Softmax", "Softmin", "Softmax2d", "LogSoftmax", "GLU")
)

# Module class -> the functions and the method that compute the same.
CALLS: dict[type[nn.Module], tuple[tuple[Callable[..., Any], ...], str]] = {
    nn.ReLU: ((F.relu, F.relu_, torch.relu, torch.relu_), "relu"),
    nn.ReLU6: ((F.relu6,), "relu6"),
    nn.LeakyReLU: ((F.leaky_relu, F.leaky_relu_), "leaky_relu"),
    nn.ELU: ((F.elu, F.elu_), "elu"),
    nn.CELU: ((F.celu, F.celu_, torch.celu), "celu"),
    nn.SELU: ((F.selu, F.selu_, torch.selu), "selu"),
    nn.GELU: ((F.gelu,), "gelu"),
    nn.SiLU: ((F.silu,), "silu"),
    nn.Mish: ((F.mish,), "mish"),
    nn.Hardswish: ((F.hardswish,), "hardswish"),
    nn.Softplus: ((F.softplus,), "softplus"),
    nn.Tanh: ((torch.tanh, F.tanh), "tanh"),
    nn.Sigmoid: ((torch.sigmoid, F.sigmoid), "sigmoid"),
}


def replace_activations(
    model: nn.Module,
    expr: Expr | str | Factory | type[nn.Module],
    of: Sequence[type[nn.Module]] = ACTIVATIONS,
    grammar: Vocabulary | None = None,
    example: Any = None,
    channel_dim: int | None = None,
) -> Replacement:
    """Replace the activations of a model, in place.

    Every site gets a fresh activation, with parameters of its own. A module object that stands in
    several places stays one object in all of them, as it was. The new modules have the device, the
    floating dtype and the training mode of the old ones, or of the modules round them.

    Args:
        model: any model; it must not be an activation itself.
        expr: an expression, its text, or a callable that makes an activation; called once per site, in order.
        of: classes to replace, as modules and as calls; subclasses are left alone.
        grammar: the grammar of an expression given as text.
        example: an input of the model, or a tuple of them. Then the parameters of an expression are per
            channel: a copy of the model runs once to see how many channels there are at each site.
        channel_dim: the dimension that counts channels; else the one that the layer before the site made.

    Returns:
        What was replaced and what could not be.

    Raises:
        InputError: the expression cannot be read, a factory gives no module, `model` is itself of a class
            in `of`, or `example` does not tell the channels of a site; the model is then as it was.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"replace_activations takes a torch module, not {type(model).__name__}")
    if type(model) in tuple(of):
        raise InputError("the model is itself an activation; put it into nn.Sequential to replace it in place")
    if example is None:
        factory = _factory(expr, grammar)
        return _Surgery(model, lambda _: factory(), tuple(of)).run()
    if not isinstance(expr, Expr | str):
        raise InputError("example= is for an expression: a factory decides on channels itself, see settle_channels")
    return _replace_per_channel(model, expr, tuple(of), grammar, example, channel_dim)


def _replace_per_channel(
    model: nn.Module,
    expr: Expr | str,
    of: tuple[type, ...],
    grammar: Vocabulary | None,
    example: Any,
    channel_dim: int | None,
) -> Replacement:
    """Look at the channels of each site in a copy of the model, then replace."""
    Activation(expr, grammar, channels=1)  # A wrong expression is found before anything runs.
    found = iter(channels_of_sites(model, of, example, channel_dim))

    def make(_: nn.Module | None) -> nn.Module:
        count, dim = next(found)
        return Activation(expr, grammar, count, channel_dim=dim)

    return _Surgery(model, make, of).run()


def channels_of_sites(
    model: nn.Module, of: tuple[type, ...], example: Any, channel_dim: int | None
) -> list[tuple[int, int]]:
    """Number and dimension of the channels at each site, in the order in which sites are replaced."""
    copied, witnesses = copy.deepcopy(model).eval(), list[Witness]()

    def make(old: nn.Module | None) -> nn.Module:
        witnesses.append(Witness(old, channel_dim))
        return witnesses[-1]

    report = _Surgery(copied, make, of).run()
    with torch.no_grad(), watched(copied, witnesses):
        copied(*(example if isinstance(example, tuple) else (example,)))
    names = {id(copied.get_submodule(name)): name for name, _, _ in report.replaced}
    return [_answer(witness, names[id(witness)]) for witness in witnesses]


def _answer(witness: Witness, name: str) -> tuple[int, int]:
    try:
        return witness.answer()
    except InputError as error:
        raise InputError(f"{name} was not replaced: {error}; give channel_dim=, or no example=") from None


def _factory(expr: Expr | str | Factory | type[nn.Module], grammar: Vocabulary | None) -> Factory:
    if isinstance(expr, nn.Module):
        raise InputError("give an expression or a callable that makes modules; one module would be shared by all sites")
    if callable(expr):
        return expr
    return activation_layer(expr, grammar)


class _Surgery:
    """One run over one model."""

    def __init__(self, model: nn.Module, make: Callable[[nn.Module | None], nn.Module], wanted: tuple[type, ...]):
        self.model, self.new, self.wanted = model, make, wanted
        self.report = Replacement(model)
        self.made: set[int] = set()
        self.calls: dict[Any, type[nn.Module]] = {}
        self.methods: dict[str, type[nn.Module]] = {}
        for kind in wanted:
            functions, method = CALLS.get(kind, ((), ""))
            self.calls |= dict.fromkeys(functions, kind)
            if method:
                self.methods |= {method: kind, f"{method}_": kind}

    def run(self) -> Replacement:
        """Replace modules, then functions held as attributes, then calls."""
        self.replace_modules()
        self.replace_attributes()
        self.replace_calls()
        if not self.report.replaced and not self.report.not_replaced:
            self.report.hints = self.hints()
        return self.report

    def hints(self) -> list[str]:
        """What to do where nothing was found: the classes that would find something."""
        others = Counter(type(m) for m in self.model.modules() if type(m) in _OTHERS and type(m) not in self.wanted)
        seen = {kind: f"{count} nn.{kind.__name__}" for kind, count in others.items()}
        for kind, (functions, _) in CALLS.items():
            names = {function.__name__ for function in functions}
            callers = [m for m in self.model.modules() if type(m) not in _OTHERS and self.named_in(m, names)]
            if callers and kind not in self.wanted:
                seen.setdefault(kind, f"calls of {min(names)} in {type(callers[0]).__name__}")
        if not seen:
            names_of = ", ".join(kind.__name__ for kind in self.wanted)
            return [f"the model has no module or call of {names_of}; name others in of="]
        kinds = ", ".join(f"nn.{kind.__name__}" for kind in seen)
        return [f"the model has {', '.join(seen.values())}; to replace them, give of=({kinds},)"]

    def replace_modules(self) -> None:
        """Exchange the activations that are modules."""
        exchanged: dict[nn.Module, nn.Module] = {}
        for parent, child_name, place in list(places(self.model)):
            child = parent._modules[child_name]
            if child is None or id(child) in self.made:
                continue
            if type(child) in self.wanted:
                if child not in exchanged:
                    exchanged[child] = self.make(child, parent)
                self.put(parent, child_name, exchanged[child])
                self.report.replaced.append((place, named(child), named(exchanged[child])))
            elif isinstance(child, self.wanted):
                reason = f"a subclass of {_base(child, self.wanted)}; name it in `of` to replace it"
                self.report.not_replaced.append((place, type(child).__name__, reason))

    def replace_attributes(self) -> None:
        """Exchange functions that modules hold, as in `self.activation = F.relu`."""
        for name, module in list(self.model.named_modules()):
            if id(module) in self.made:
                continue
            held = [(key, value) for key, value in vars(module).items() if _hashable(value) and value in self.calls]
            for key, function in held:
                new = self.make(None, module)
                del module.__dict__[key]
                self.put(module, key, new)
                place = f"{name}.{key}" if name else key
                self.report.replaced.append((place, f"{function_text(function)} (attribute)", named(new)))

    def make(self, old: nn.Module | None, around: nn.Module) -> nn.Module:
        """A new activation with the device, dtype and mode of the modules that are there."""
        new = self.new(old)
        new = settled_beside(new, old, around, self.model)
        self.made.update(id(module) for module in new.modules())
        return new

    def put(self, parent: nn.Module, name: str, new: nn.Module) -> None:
        """Set a submodule; nn.TransformerEncoderLayer must not take its fast path, which knows ReLU and GELU only."""
        parent._modules[name] = new
        if getattr(parent, "activation_relu_or_gelu", 0):
            setattr(parent, "activation_relu_or_gelu", 0)  # noqa: B010 (a plain attribute, not a tensor)

    def replace_calls(self) -> None:
        """Exchange the activations that are calls in the text of a `forward`."""
        for name, module in list(self.model.named_modules()):
            skipped = isinstance(module, self.wanted) or type(module).__module__.startswith("torch.nn.")
            if skipped or id(module) in self.made:
                continue
            found = sorted(self.mentioned(module))
            if found:
                self.rewrite(name, module, found)

    def mentioned(self, module: nn.Module) -> set[str]:
        """Names of wanted activations in a module's `forward`, and in the methods and functions that it calls."""
        names = {function.__name__ for function in self.calls} | self.methods.keys()
        return self.named_in(module, names - module._modules.keys())

    def named_in(self, module: nn.Module, names: set[str]) -> set[str]:
        """Which of some names stand in a module's `forward`, or in what it calls, itself or by way of an attribute."""
        found, seen = set[str](), set[Any]()
        waiting: list[Any] = [module.forward]
        while waiting and len(seen) < 200:
            function = waiting.pop()
            function = function.func if isinstance(function, partial) else function
            if _hashable(function) and function in self.calls:
                found.add(function.__name__)
            code = getattr(function, "__code__", None)
            if code is None or code in seen:
                continue
            seen.add(code)
            scope = getattr(function, "__globals__", {})
            for name in code.co_names:
                if name in names:
                    found.add(name)
                held = vars(module).get(name)
                for called in _members(getattr(type(module), name, None) or held or scope.get(name)):
                    own = isinstance(called, FunctionType) and not (called.__module__ or "").startswith("torch.")
                    if own or isinstance(called, partial) or (held is not None and callable(called)):
                        waiting.append(called)
        return found & names

    def rewrite(self, name: str, module: nn.Module, found: list[str]) -> None:
        """Put a traced forward in the place of a module's own, its calls replaced by submodules."""
        try:
            graphs = traced(module)
        except Exception as error:  # Tracing runs the model's own code, which may raise anything.
            reason = f"torch.fx cannot trace {type(module).__name__}.forward: {first_line(error)}"
            self.report.not_replaced.append((name or type(module).__name__, " ".join(found), reason))
            return
        sites = [[node for node in graph.nodes if self.kind(node) is not None] for graph in graphs]
        if not any(sites):
            return
        if len({tuple(call_text(node) for node in nodes) for nodes in sites}) > 1:
            reason = "its forward makes other calls in training than in evaluation"
            self.report.not_replaced.append((name or type(module).__name__, " ".join(found), reason))
            return
        if name and only_a_call(module, graphs[0], sites[0]):
            self.replace_whole(module, call_text(sites[0][0]))
            return
        number, exchanged = 0, list[list[tuple[str, str]]]([[] for _ in graphs])
        for nodes in zip(*sites, strict=True):
            while hasattr(module, f"activation_{number}"):
                number += 1
            site = f"activation_{number}"
            new = self.make(None, module)
            module.add_module(site, new)
            for names, node in zip(exchanged, nodes, strict=True):
                names.append((node.name, site))
            place = f"{name}.{site}" if name else site
            self.report.replaced.append((place, f"{call_text(nodes[0])} in {type(module).__name__}", named(new)))
        rewrite(module, graphs, tuple(map(tuple, exchanged)))

    def replace_whole(self, module: nn.Module, call: str) -> None:
        """A module that is nothing but one call, such as a library's own `GELU`, is exchanged for the activation."""
        new = None
        for parent, child_name, place in list(places(self.model)):
            if parent._modules[child_name] is module:
                new = self.make(module, parent) if new is None else new
                self.put(parent, child_name, new)
                self.report.replaced.append((place, f"{type(module).__name__} ({call})", named(new)))

    def kind(self, node: fx.Node) -> type[nn.Module] | None:
        """The activation class that a node of a graph computes, or None."""
        if not node.all_input_nodes:
            return None
        if node.op == "call_function":
            return self.calls.get(node.target) if _hashable(node.target) else None
        return self.methods.get(str(node.target)) if node.op == "call_method" else None


def _members(held: Any) -> Iterator[Any]:
    """A function, or the functions in a list or dictionary of them."""
    if isinstance(held, dict):
        yield from held.values()
    elif isinstance(held, list | tuple):
        yield from held
    else:
        yield held


def _base(module: nn.Module, wanted: tuple[type, ...]) -> str:
    return next(kind.__name__ for kind in wanted if isinstance(module, kind))


def _hashable(value: Any) -> bool:
    return isinstance(value, Hashable) and callable(value)
