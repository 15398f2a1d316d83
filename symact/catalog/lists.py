"""Named lists of published functions that are compared as they stand: `symact compare --atlas NAME`.

In: a name. Out: expressions at default values; of several that are one function, the first. A family of the table is
such a list, too.
"""

from __future__ import annotations

from symact.catalog.rows import VOCABULARY
from symact.equivalence import FunctionIndex
from symact.errors import InputError
from symact.expr.published import published
from symact.expr.tree import parse

_AQUASURF = tuple(f"aquasurf_{on}_{n}" for on in ("allcnnc", "resnet", "mobilevit", "coatnet") for n in (1, 2, 3))

# Name -> keys of rows, with what they are above them.
LISTS: dict[str, tuple[str, ...]] = {
    # What PyTorch has a module for.
    "common": tuple(row.key for row in published().values() if row.reference.startswith("torch.nn.")),
    # What AQuaSurF found (arXiv:2301.05785), and what each of its searches began with.
    "aquasurf": (*_AQUASURF, "elu", "relu", "selu", "sigmoid", "softplus", "softsign", "silu", "tanh"),
    # The sixteen of its table on CoAtNet. The paper's table was not at hand: the numbers of the three that it found
    # and of ReLU, GELU, Leaky ReLU, Mish, Swish, tanh and ELiSH were; that the others are its further baselines and
    # HardSigmoid is inferred.
    "coatnet": (
        *_AQUASURF[-3:],
        *("elish", "elu", "gelu", "hard_sigmoid", "leaky_relu", "mish", "relu"),
        *("selu", "sigmoid", "softplus", "softsign", "silu", "tanh"),
    ),
}


def listed(name: str) -> list[str]:
    """The functions of a list or a family, as expressions; of several that are one function, the first.

    Raises:
        InputError: there is no such list or family.
    """
    families = tuple(dict.fromkeys(row.family for row in published().values()))
    keys = LISTS.get(name) or [row.key for row in published().values() if row.family == name]
    if not keys:
        lists = ", ".join(LISTS)
        raise InputError(f"--atlas {name}: expected one of the lists {lists}, or of the families {', '.join(families)}")
    index, found = FunctionIndex(VOCABULARY), dict[int, str]()
    for key in keys:
        found.setdefault(index.add(parse(f"atlas.{key}(x)")), f"atlas.{key}(x)")
    return list(found.values())
