"""The champions of each family of tasks: a formula with a gap per frequency or slope, and the values that are tried.

`omega` and `slope` are learned per layer, as in the grammars, so that a found function with a learned frequency
meets rivals that have one too.
"""

from __future__ import annotations

# How a task's name begins -> grammar.
GRAMMARS = {"pinn": "pinn", "image": "inr", "ood": "modern", "char-lm": "modern", "char-lm-gated": "gates"}

# Rivals that this experiment gave itself: no champions of the field.
OWN = ("line and square", "slope of a Gauss bump")

# How a task's name begins -> family -> (formula, one list of values per gap of the formula).
FAMILIES: dict[str, dict[str, tuple[str, list[list[float]]]]] = {
    # Around the best values of `image-fit/tuned.json`, which tried wider ranges.
    "image": {
        "ReLU": ("relu({}*x)", [[1, 2, 4]]),
        "tanh": ("tanh({}*x)", [[8, 12, 16]]),
        "SIREN's sine": ("sin({}*x)", [[4, 5, 6, 7]]),
        "sine, frequency learned": ("sin({}*omega*x)", [[0.75, 1, 1.25, 1.5, 2]]),
        "Gauss": ("exp(-({}*x)**2)", [[4, 5, 6, 7, 8]]),
        "Gauss, width learned": ("exp(-({}*sigma*x)**2)", [[0.75, 1, 1.25, 1.5, 2]]),
        "FINER": ("sin({}*(abs(x) + 1)*x)", [[2, 2.5, 3, 4]]),
        "sinc": ("sinc({}*x)", [[6, 8, 10, 12]]),
        "WIRE, real": ("cos({}*x)*exp(-({}*x)**2)", [[4, 6, 8], [1, 2, 3, 4, 5]]),
        "WIRE, real, learned": ("cos({}*omega*x)*exp(-({}*sigma*x)**2)", [[1, 1.5, 2], [0.5, 0.75, 1]]),
        "slope of a Gauss bump": ("{}*x*exp(-({}*sigma*x)**2)", [[3, 4.5, 6, 9], [1, 1.5, 2]]),
    },
    # Of transformers' MLPs, and the waves that fields are represented with.
    "char-lm": {
        "ReLU": ("relu({}*x)", [[1, 2, 4]]),
        "squared ReLU": ("relu({}*x)**2", [[0.5, 1, 1.5, 2]]),
        "GELU": ("gelu({}*x)", [[1, 2, 3, 4]]),
        "Swish": ("{}*x*sigmoid({}*x)", [[1, 3], [1, 1.702, 3]]),
        "Swish, learned": ("x*sigmoid({}*beta*x)", [[1, 2, 4]]),
        "Mish": ("mish({}*x)", [[1, 2, 3]]),
        "tanh": ("tanh({}*x)", [[1, 2, 3]]),
        "xIELU": ("where(x > 0, 0.8*({0}*x)**2 + {0}*x/2, 0.8*(expm1({0}*x) - {0}*x) + {0}*x/2)", [[1, 2]]),
        "sine": ("sin({}*x)", [[1, 2, 3, 4, 6]]),
        "Snake": ("x + sin({0}*x)**2/{0}", [[1, 2, 4]]),
        "Gauss": ("exp(-({}*x)**2)", [[1, 2, 3]]),
        "GELUSine": ("gelu({0}*x) + 0.1*sin({0}*x)", [[1, 2, 3]]),
        "GELU and sinc, product": ("gelu({0}*x)*(1 + 0.5*sinc({0}*x))", [[1, 2, 3]]),
    },
    # The published gates of `grammars/gates.toml`.
    "char-lm-gated": {
        "SwiGLU": ("{}*x*sigmoid({}*x)*g", [[1, 3, 6], [0.5, 1, 1.702, 3]]),
        "GEGLU": ("gelu({}*x)*g", [[1, 2, 3, 6]]),
        "ReGLU": ("max({}*x, 0)*g", [[1, 3, 6]]),
        "squared ReGLU": ("max({}*x, 0)**2*g", [[1, 2]]),
        "GLU": ("sigmoid({}*x)*g", [[1, 2]]),
        "GTU": ("sigmoid({}*x)*tanh(g)", [[1, 2, 3, 6]]),
        "bilinear": ("{}*x*g", [[1, 2, 3, 4, 6, 9]]),
        "MiGLU": ("mish(x)*g", []),
        "ATGLU": ("x*(atan({}*x)/pi + 1/2)*g", [[1, 2]]),
        "clipped SwiGLU": ("clipped_swiglu(x,g)", []),
        "gate of gpt-oss": ("gpt_oss(x,g)", []),
        "SiTU-GLU": ("situ_glu(x,g)", []),
    },
    "pinn": {
        "tanh": ("tanh({}*x)", [[0.5, 1, 1.5, 2, 3, 4]]),
        "adaptive tanh": ("tanh({}*slope*x)", [[0.5, 1, 2, 3]]),
        "Stan": ("tanh({}*x)*(1 + slope*x)", [[0.5, 1, 2, 4]]),
        "sine": ("sin({}*x)", [[0.5, 1, 1.5, 2, 3, 4, 5, 6]]),
        "sine, frequency learned": ("sin({}*omega*x)", [[0.5, 1, 2, 3, 4, 6]]),
        "Gauss": ("exp(-({}*x)**2)", [[0.5, 1, 1.5, 2, 3, 4]]),
        "Swish": ("x*sigmoid({}*x)", [[0.5, 1, 2, 4]]),
        "GELU": ("gelu({}*x)", [[1, 2, 4]]),
        "Snake": ("x + sin({0}*x)**2/{0}", [[1, 2, 4]]),
        "FINER": ("sin({}*(abs(x) + 1)*x)", [[0.5, 1, 2, 3]]),
        "WIRE, real": ("cos({}*x)*exp(-({}*x)**2)", [[1, 1.5, 2, 3, 4], [0.25, 0.5, 1]]),
    },
    "ood": {
        "ReLU": ("relu({}*x)", [[0.5, 1, 2, 4]]),
        "ELU": ("elu({}*x)", [[0.5, 1, 2, 4]]),
        "GELU": ("gelu({}*x)", [[0.5, 1, 2, 4]]),
        "Swish": ("x*sigmoid({}*x)", [[0.25, 0.5, 1, 2, 4, 8]]),
        "Swish, learned": ("x*sigmoid({}*beta*x)", [[0.5, 1, 2, 4]]),
        "tanh": ("tanh({}*x)", [[0.25, 0.5, 1, 2]]),
        "sine": ("sin({}*x)", [[0.25, 0.5, 1, 2]]),
        "Snake": ("x + sin({0}*x)**2/{0}", [[0.25, 0.5, 1, 2]]),
        "square": ("({}*x)**2", [[0.25, 0.5, 1, 1.5, 2]]),
        "line and square": ("x + {}*x**2", [[0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 4]]),
        "squared ReLU": ("relu({}*x)**2", [[0.25, 0.5, 1, 1.5]]),
        "GELUSine": ("gelu({0}*x) + 0.1*sin({0}*x)", [[0.5, 1, 2]]),
        "GELU and sinc, product": ("gelu({0}*x)*(1 + 0.5*sinc({0}*x))", [[0.5, 1, 2]]),
        "GELU and sinc, sum": ("gelu({0}*x) + 0.5*sinc({0}*x)", [[0.5, 1, 2, 4]]),
        "GMTU": ("tanh({0}*1.5*x)*exp(-0.2*({0}*x)**2) + {0}*0.2*x", [[0.25, 0.5, 1]]),
    },
}
