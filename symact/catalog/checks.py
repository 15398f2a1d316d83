"""How a row of the table was checked: what its formula was compared with, and what was seen of its citation.

No paper was read in full. Rows name the keys of these tables; a row that names none was not checked.
"""

from __future__ import annotations

from symact.expr.published import Published

# Key of `checked` -> what the formula at its default values was compared with. The libraries and transcriptions that
# follow the survey have errors of their own: agreement of two says more than of one.
FORMULA = {
    "torch": "PyTorch 2.14.1, by value",
    "timm": "timm 1.0.31, by value",
    "transformers": "transformers 5.24.0, by value; of the gate read",
    "jax": "JAX 0.10.2, by value",
    "echo": "echoAI 0.1.3, by value",
    "torch_activation": "torch_activation 1.0.0, which follows the survey, by value",
    "nonlinear": "nonlinear 0.0.17, which follows the survey, by value",
    "pyzjr": "pyzjr (github.com/Auorui/pyzjr), which follows the survey, by value or read",
    "equations": "a public transcription of section 3 of the survey with its equation numbers, by value or read",
    "review": "a review with formulas (0809zheng.github.io), read",
    "authors": "the README of the authors' code, read",
    "code": "public code that names the paper, read",
}

# Value of `citation` -> what was seen of the source.
CITATION = {
    "full": "title, first author and year seen where the source is cited",
    "title": "title seen where the source is cited",
    "paper": "the paper seen in a bibliography, the identifier not",
    "use": "the identifier seen beside code of this function",
    "survey": "named or described in the survey's text, of which a copy without equations was read",
    "library": "the library itself",
    "symact": "found by symact; the experiment is recorded there, with its scores",
}

UNCHECKED = "not checked"


def formula_check(row: Published) -> str:
    """What the formula of a row was compared with, in words."""
    return "; ".join(FORMULA[key] for key in row.checked) or UNCHECKED


def citation_check(row: Published) -> str:
    """What was seen of the citation of a row, in words."""
    return CITATION.get(row.citation, UNCHECKED)
