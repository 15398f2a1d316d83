"""Calls inside a module's `forward`: traced with torch.fx one module deep, exchanged, put back.

In: a module and its forward. Out: the same module object, whose class is now a subclass with a traced
forward. `surgery` decides which calls are exchanged.
"""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import torch
from torch import fx, nn


class _Tracer(fx.Tracer):
    """Traces one module's own forward: every submodule is a leaf."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True


def traced(module: nn.Module) -> list[fx.Graph]:
    """The graph of a module's forward, or two, for evaluation and for training, where they differ.

    Arguments that have a plain default are fixed to it; the traced forward checks that they are.
    """
    parameters = inspect.signature(module.forward).parameters.values()
    plain = (bool, int, float, str, type(None))
    fixed = {p.name: p.default for p in parameters if p.default is not p.empty and isinstance(p.default, plain)}
    graphs, mode = [], module.training
    try:
        for training in (False, True):
            module.training = training
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                graphs.append(_Tracer().trace(module, concrete_args=fixed or None))
    finally:
        module.training = mode
    same = str(graphs[0].python_code("self").src) == str(graphs[1].python_code("self").src)
    return graphs[:1] if same else graphs


def exchange(graph: fx.Graph, node: fx.Node, site: str) -> None:
    """A call becomes the call of a submodule; after a call in place, its argument is the new value, too."""
    argument = node.all_input_nodes[0]
    with graph.inserting_before(node):
        new = graph.call_module(site, (argument,))
    if node.kwargs.get("inplace") or True in node.args or call_text(node).endswith("_"):
        order = {other: position for position, other in enumerate(graph.nodes)}
        for user in [user for user in argument.users if order[user] > order[node]]:
            user.replace_input_with(argument, new)
    node.replace_all_uses_with(new)
    graph.erase_node(node)


def install(module: nn.Module, graphs: list[fx.Graph]) -> None:
    """Give a module a class of its own, a subclass of its old one, whose forward is the graph.

    A class, not an attribute of the object, so that copies and replicas of the module run their own.
    """
    kind = type(module)
    functions = []
    for graph in graphs:
        graph.lint()
        functions.append(type(fx.GraphModule(module, graph, class_name=kind.__name__)).forward)
    evaluate, train = functions[0], functions[-1]

    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return train(self, *args, **kwargs) if self.training else evaluate(self, *args, **kwargs)

    body = {"forward": evaluate if len(functions) == 1 else forward, "__doc__": kind.__doc__, "__module__": __name__}
    module.__class__ = type(kind.__name__, (kind,), body)


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
    return (
        f"torch.{function.__name__}"
        if getattr(torch, function.__name__, None) is function
        else f"F.{function.__name__}"
    )
