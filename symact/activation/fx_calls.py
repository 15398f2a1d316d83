"""Calls inside a module's `forward`: traced with torch.fx one module deep, exchanged, put back.

In: a module and its forward. Out: the same module object, whose class is now a subclass with a traced
forward. `replace` decides which calls are exchanged. Such an object is pickled as one of its old class with
the names of the calls, and traced again when it is loaded.
"""

from __future__ import annotations

import copy
import inspect
import warnings
from typing import Any

import torch
from torch import fx, nn

from symact.errors import InputError


class _Tracer(fx.Tracer):
    """Traces one module's own forward: every submodule is a leaf."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True


_PLAIN = (bool, int, float, str, type(None))


def _arguments(module: nn.Module) -> tuple[list[str], dict[str, Any], dict[str, Any]]:
    """Names of the arguments of a forward, those that are fixed to a plain default, and the other defaults."""
    parameters = inspect.signature(type(module).forward).parameters.values()
    named = [p for p in list(parameters)[1:] if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    defaults = {p.name: p.default for p in named if p.default is not p.empty}
    fixed = {name: value for name, value in defaults.items() if isinstance(value, _PLAIN)}
    return [p.name for p in named], fixed, {n: v for n, v in defaults.items() if n not in fixed}


def traced(module: nn.Module) -> list[fx.Graph]:
    """The graph of a module's forward, or two, for evaluation and for training, where they differ.

    Arguments that have a plain default are fixed to it and are no inputs of the graph.
    """
    names, fixed, _ = _arguments(module)
    graphs, mode = [], module.training
    try:
        for training in (False, True):
            module.training = training
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                graphs.append(_Tracer().trace(module, concrete_args=fixed or None))
    finally:
        module.training = mode
    for graph in graphs:
        inputs = [node for node in graph.nodes if node.op == "placeholder"]
        dropped = {node for name, node in zip(names, inputs, strict=False) if name in fixed}
        for node in graph.nodes:
            if any(argument in dropped for argument in node.all_input_nodes):
                dropped.add(node)  # torch.fx asserts the fixed value, and does nothing else with it.
        for node in reversed(list(graph.nodes)):
            if node in dropped:
                graph.erase_node(node)
    same = str(graphs[0].python_code("self").src) == str(graphs[1].python_code("self").src)
    return graphs[:1] if same else graphs


# For each graph, the names of the nodes that are calls and of the submodules in their places; for a product also the
# node that is the activation in it, and the tensor that both of its inputs are halves of, where there is one.
Sites = tuple[tuple[tuple[str, ...], ...], ...]


def rewrite(module: nn.Module, graphs: list[fx.Graph], sites: Sites) -> None:
    """Exchange calls in the graphs of a module's forward for calls of its submodules, and install the graphs.

    Raises:
        InputError: a graph has no such call: the module's source is another than when it was saved.
    """
    for graph, exchanged in zip(graphs, sites, strict=False):
        nodes = {node.name: node for node in graph.nodes}
        for name, site, *product in exchanged:
            if not nodes.keys() >= {name, *product}:
                raise InputError(f"{type(module).__name__}.forward has changed since its activations were replaced")
            if product:
                _exchange_product(graph, nodes[name], site, *[nodes[other] for other in product])
            else:
                _exchange(graph, nodes[name], site)
    _install(module, graphs, sites)


def _exchange(graph: fx.Graph, node: fx.Node, site: str) -> None:
    """A call becomes the call of a submodule; after a call in place, its argument is the new value, too."""
    argument = node.all_input_nodes[0]
    with graph.inserting_before(node):
        new = graph.call_module(site, (argument,))
    if node.kwargs.get("inplace") or any(argument is True for argument in node.args) or call_text(node).endswith("_"):
        order = {other: position for position, other in enumerate(graph.nodes)}
        for user in [user for user in argument.users if order[user] > order[node]]:
            user.replace_input_with(argument, new)
    node.replace_all_uses_with(new)
    graph.erase_node(node)


def _exchange_product(
    graph: fx.Graph, node: fx.Node, site: str, activation: fx.Node, packed: fx.Node | None = None
) -> None:
    """A product of an activation and another tensor becomes the call of a submodule with what both were made of.

    Where both are halves of one tensor, that tensor is given, and the halves are not made.
    """
    other = next(factor for factor in node.all_input_nodes if factor is not activation)
    inputs = activation.all_input_nodes[0], other
    with graph.inserting_before(node):
        new = graph.call_module(site, inputs if packed is None else (packed,))
    node.replace_all_uses_with(new)
    unused, erased = [node, activation], set[fx.Node]()
    for dropped in unused:
        if dropped in erased or dropped.users or dropped.op == "placeholder":
            continue
        if packed is not None:
            unused += [source for source in dropped.all_input_nodes if source is not packed]
        graph.erase_node(dropped)
        erased.add(dropped)


def _install(module: nn.Module, graphs: list[fx.Graph], sites: Sites) -> None:
    """Give a module a class of its own, a subclass of its old one, whose forward is the graph.

    A class, not an attribute of the object, so that copies and replicas of the module run their own.
    """
    kind = type(module)
    functions = []
    for graph in graphs:
        graph.lint()
        functions.append(type(fx.GraphModule(module, graph, class_name=kind.__name__)).forward)
    evaluate, train = functions[0], functions[-1]
    names, fixed, defaults = _arguments(module)

    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        given = {**defaults, **dict(zip(names, args, strict=False)), **kwargs}
        for name, value in fixed.items():
            if name in given and not _same(given[name], value):
                raise InputError(
                    f"{kind.__name__}.forward was traced with {name}={value!r}, to replace its activations; "
                    f"it cannot be called with another value"
                )
        inputs = [given[name] for name in names if name in given and name not in fixed]
        return train(self, *inputs) if self.training else evaluate(self, *inputs)

    bare = len(functions) == 1 and not fixed
    body: dict[str, Any] = {"forward": evaluate if bare else forward, "__doc__": kind.__doc__, "__module__": __name__}
    original, history = getattr(kind, "_rewritten", (kind, ()))
    body["_rewritten"] = original, (*history, sites)
    body["__reduce_ex__"] = _reduce
    if not hasattr(kind, "__deepcopy__"):
        body["__deepcopy__"] = _deepcopy
    module.__class__ = type(kind.__name__, (kind,), body)


def _reduce(self: Any, _protocol: int) -> Any:
    original, history = self._rewritten
    return _restored, (original, history, self.__getstate__())


def _restored(original: type[nn.Module], history: tuple[Sites, ...], state: Any) -> nn.Module:
    """A module as it was pickled: rewritten as often as it was."""
    module = original.__new__(original)
    module.__setstate__(state)
    for sites in history:
        rewrite(module, traced(module), sites)
    return module


def _deepcopy(self: Any, memo: dict[int, Any]) -> Any:
    """A copy of the same class; what the default does for a class without `__reduce_ex__`."""
    new = memo[id(self)] = self.__class__.__new__(self.__class__)
    new.__setstate__(copy.deepcopy(self.__getstate__(), memo))
    return new


def _same(given: Any, value: Any) -> bool:
    return given is value or (isinstance(given, _PLAIN) and isinstance(value, _PLAIN) and bool(given == value))


def only_a_call(module: nn.Module, graph: fx.Graph, sites: list[fx.Node]) -> bool:
    """Whether a module without state is nothing but one call."""
    plain = [node for node in graph.nodes if node.op not in ("placeholder", "output")]
    own = any(True for _ in module.parameters()) or any(True for _ in module.buffers()) or len(list(module.children()))
    return plain == sites and len(sites) == 1 and not own


def call_text(node: fx.Node) -> str:
    """The call that a node is, for a person."""
    if node.op == "call_method":
        return f"x.{node.target}"
    return function_text(node.target)


def function_text(function: Any) -> str:
    """How a person writes the function."""
    name = str(function.__name__)
    return f"torch.{name}" if getattr(torch, name, None) is function else f"F.{name}"
