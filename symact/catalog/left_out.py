"""What was published and is not in the table, each with the reason.

Most are no functions of one real number; of some the formula could not be seen.
"""

from __future__ import annotations

_SURVEY = "arXiv:2402.09092"
_ALL = "looks at all inputs of a layer or channel"
_CHANCE = "random while training, without one agreed mean"
_SUM = "a sum of any number of terms, chosen by the user"
_LAYER = "a small network or layer of its own"

# Name -> (reason, source).
LEFT_OUT: dict[str, tuple[str, str]] = {
    "OPLU": ("sorts pairs of inputs", "arXiv:1604.02313"),
    "CReLU": ("two outputs", "arXiv:1603.05201"),
    "NCReLU": ("two outputs", _SURVEY),
    "PairedReLU": ("two outputs", _SURVEY),
    "Maxout": ("the maximum of several learned linear layers", "arXiv:1302.4389"),
    "Softmax": (_ALL, _SURVEY),
    "Sparsemax": (_ALL, "arXiv:1602.02068"),
    "SQMAX": (_ALL, _SURVEY),
    "ABReLU": (_ALL, _SURVEY),
    "VBAF": (_ALL, _SURVEY),
    "kWTA": (_ALL, "arXiv:1905.10510"),
    "AOAF": (_ALL, _SURVEY),
    "DLReLU": ("its slope follows the training error", _SURVEY),
    "Dynamic ReLU": ("its slopes are computed from the input by a layer", "arXiv:2003.10027"),
    "Meta-ACON": ("its switch is computed from the input by a layer", "arXiv:2009.04759"),
    "Funnel activation": ("compares with a convolution of the input", "arXiv:2007.11824"),
    "SCAA": ("compares with a convolution of the input", _SURVEY),
    "Noisy ReLU": (_CHANCE, _SURVEY),
    "RT-ReLU": (_CHANCE, _SURVEY),
    "ProbAct": (_CHANCE, "arXiv:1905.10761"),
    "EReLU": (_CHANCE, _SURVEY),
    "EELU": (_CHANCE, _SURVEY),
    "PAU of higher degree": (_SUM, "arXiv:1907.06732"),
    "SPLASH": (_SUM, "arXiv:2006.08947"),
    "APL with several hinges": (_SUM, "arXiv:1412.6830"),
    "Kernel activation function": (_SUM, "arXiv:1707.04035"),
    "Adaptive blending unit": (_SUM, "arXiv:1806.10064"),
    "Fourier, Chebyshev, Legendre and Hermite series": (_SUM, _SURVEY),
    "Look-up table unit": (_SUM, _SURVEY),
    "Catalytic activation function (CatAF)": ("mixes any function with the identity; no one function", _SURVEY),
    "Modified Weibull function (MWF)": ("undefined for negative numbers at most of its exponents", _SURVEY),
    "Saha-Bora activation function (SBAF)": ("defined between 0 and 1 alone", _SURVEY),
    "Polynomial universal activation (PUAF)": ("its powers are undefined for negative numbers", _SURVEY),
    "s+2, s+2L, ELUs+2, ELUs+2L": ("the formula was not at hand", _SURVEY),
    "P-E2-ReLU-1, MishPlus": ("the formula was not at hand", _SURVEY),
    "RePSU, SAAAF, KDAC": ("the formula was not at hand", _SURVEY),
    "PowLU": ("the value of its parameter was not at hand", "arXiv:2605.25704"),
    "Interpolating splines (SAF)": (_SUM, _SURVEY),
    "PWLU, MTLU, CPN": (_SUM, "arXiv:2104.03693"),
    "PolyNorm": (_ALL, "arXiv:2411.03884"),
    "Network in network": (_LAYER, "arXiv:1312.4400"),
    "B-spline edges (KAN)": (_SUM, "arXiv:2404.19756"),
    "Fractional ELU, SiLU, GELU": ("series of a fractional derivative, cut off at any length", _SURVEY),
    "Complex-valued functions": ("complex numbers", _SURVEY),
}
