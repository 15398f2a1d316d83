"""symact: a compiler for activation functions, and a toolkit that discovers new ones.

The public names are imported when they are first used, so that `import symact` costs nothing and
what needs no torch does not load it.
"""

from __future__ import annotations

from symact.registry import lazy

__version__ = "0.1.0"

__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "Activation": "symact.activation.module",
        "CompiledFunction": "symact.activation.module",
        "Gate": "symact.activation.gate",
        "compile": "symact.activation.module",
        "compile_many": "symact.activation.module",
        "jet": "symact.activation.jets",
        "normalized": "symact.activation.normalized",
        "replace_activations": "symact.activation.replace",
        "replace_gates": "symact.activation.gated_mlps",
        "replace_norms": "symact.activation.norms",
        "activation_layer": "symact.activation.layers",
        "settle_channels": "symact.activation.site_channels",
        "Expr": "symact.expr.tree",
        "parse": "symact.expr.tree",
        "Grammar": "symact.expr.grammar",
        "load_grammar": "symact.program.loading",
        "parse_grammar": "symact.program.loading",
        "Space": "symact.expr.space",
        "identify": "symact.catalog.matches",
        "enumerate_classes": "symact.equivalence",
        "FunctionIndex": "symact.equivalence",
        "Study": "symact.study.loop",
        "compare": "symact.study.comparing",
        "OPTIMIZERS": "symact.optimize",
        "TASKS": "symact.tasks",
        "register": "symact.integrations.huggingface",
        "Outcome": "symact.records",
        "Status": "symact.records",
        "Trial": "symact.records",
        "Metric": "symact.records",
        "SymactError": "symact.errors",
        "InputError": "symact.errors",
    },
    "__version__",
)
