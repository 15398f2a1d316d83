"""Operations that torch has not, or computes badly in the tails, as text of plain torch code.

`HELPERS[name]` defines `_name(x)`. The text is part of the generated source, so that a standalone
module needs torch alone. Values only: derivatives come from `gradient.py`, never from autograd.
"""

from __future__ import annotations

_ASINH = '''\
def _asinh(x):
    """asinh, odd and without overflow."""
    a = torch.abs(x)
    small = torch.log1p(a + a * a / (1.0 + torch.sqrt(1.0 + a * a)))
    return torch.copysign(torch.where(a > 1e9, torch.log(a) + 0.6931471805599453, small), x)'''

_LOGSIGMOID = '''\
def _logsigmoid(x):
    """log(sigmoid(x))."""
    return torch.clamp(x, max=0.0) - torch.log1p(torch.exp(-torch.abs(x)))'''

_SOFTPLUS = '''\
def _softplus(x):
    """log(1 + exp(x))."""
    return torch.clamp(x, min=0.0) + torch.log1p(torch.exp(-torch.abs(x)))'''

_LOGCOSH = '''\
def _logcosh(x):
    """log(cosh(x)); by log1p(2*sinh(x/2)**2) near 0."""
    a = torch.abs(x)
    s = torch.sinh(0.5 * torch.clamp(a, max=1.0))
    return torch.where(a < 1.0, torch.log1p(2.0 * s * s), a + torch.log1p(torch.exp(-2.0 * a)) - 0.6931471805599453)'''

_HYPOT1 = '''\
def _hypot1(x):
    """sqrt(1 + x*x) without overflow."""
    a = torch.abs(x)
    return torch.where(a > 1e9, a, torch.sqrt(1.0 + x * x))'''

_SINC = '''\
def _sinc(x):
    """sin(x)/x, 1 at 0."""
    return torch.where(x == 0.0, 1.0, torch.sin(x) / x)'''

_SINC_GRAD = '''\
def _sinc_grad(x):
    """(cos(x) - sin(x)/x)/x, by its Taylor series near 0."""
    s = torch.clamp(x * x, max=1.0)
    p = 1.0 - s / 238.0
    for k in (180.0, 130.0, 88.0, 54.0, 28.0, 10.0):
        p = 1.0 - s / k * p
    return torch.where(torch.abs(x) < 1.0, -x / 3.0 * p, (torch.cos(x) - torch.sin(x) / x) / x)'''

_ERFCX = '''\
def _erfcx(x):
    """exp(x*x)*erfc(x)."""
    return torch.special.erfcx(x)'''

_ERFCX_GRAD = '''\
def _erfcx_grad(x):
    """2*x*erfcx(x) - 2/sqrt(pi), for large x by the continued fraction of erfcx (DLMF 7.9.3)."""
    a = torch.clamp(x, min=2.0)
    k = 20.0 / a
    for n in range(39, 0, -1):
        k = 0.5 * n / (a + k)
    return torch.where(x > 2.0, -1.1283791670955126 / (a + k) * k, 2.0 * x * _erfcx(x) - 1.1283791670955126)'''

_NDTR = '''\
def _ndtr(x):
    """The normal distribution function."""
    return 0.5 * torch.erfc(-0.7071067811865476 * x)'''

_LOG_NDTR = '''\
def _log_ndtr(x):
    """log of the normal distribution function."""
    t = 0.7071067811865476 * x
    left = torch.clamp(t, max=-1.0)
    tail = torch.log(0.5 * _erfcx(-left)) - left * left
    return torch.where(t < -1.0, tail, torch.log1p(-0.5 * torch.erfc(t)))'''

_I1E = '''\
def _i1e(x):
    """exp(-|x|) times the modified Bessel function of order 1."""
    return torch.special.i1e(x)'''

_I1E_RATIO = '''\
def _i1e_ratio(x):
    """i1e(x)/x, 1/2 at 0."""
    return torch.where(torch.abs(x) < 1e-17, 0.5, torch.special.i1e(x) / x)'''

_I0E = '''\
def _i0e(x):
    """exp(-abs(x))*I0(x), 1 at 0; torch's own is 1 - 6e-8 there, and a negative number to that power is NaN."""
    a = torch.abs(x)
    return torch.where(a < 1e-4, 1.0 - a * (1.0 - a * (0.75 - a * 0.4166666666666667)), torch.special.i0e(x))'''

_I0E_MINUS_I1E = '''\
def _i0e_minus_i1e(x):
    """i0e(x) - i1e(x): in float64 the difference, and for large x the asymptotic series (DLMF 10.40.1)."""
    if x.dtype != torch.float64:
        return _i0e_minus_i1e_single(x)
    a = torch.clamp(x, min=16.0)
    zero = one = torch.ones_like(x)
    total = torch.zeros_like(x)
    for k in range(1, 21):
        zero = zero * ((2 * k - 1) ** 2 / (8.0 * k)) / a
        one = one * (((2 * k - 1) ** 2 - 4) / (8.0 * k)) / a
        total = total + (zero - one)
    near = torch.special.i0e(x) - torch.special.i1e(x)
    return torch.where(x > 16.0, total * 0.3989422804014327 / torch.sqrt(a), near)


def _i0e_minus_i1e_single(x):
    """The same by a Chebyshev series in (a - 8)/(a + 8), a = abs(x), for the difference times (a + 2)**1.5."""
    a = torch.clamp(torch.abs(x), max=1e30)
    t = 2.0 * ((a - 8.0) / (a + 8.0))
    first = second = torch.zeros_like(a)
    for c in (
        3.286008651359243e-09, 7.218708066296131e-10, -1.6421757135788108e-08, -2.6758484318881463e-10,
        9.991442108004674e-08, -5.3699465900462756e-08, -6.085856614665423e-07, 9.489597317840041e-07,
        3.005788539513041e-06, -1.0926218814216505e-05, -3.314879681004296e-06, 9.105259333752524e-05,
        -0.0002091370284051433, -6.454941297397176e-05, 0.0016871136983526945, -0.005339573236076184,
        0.008677704284912253, -0.0018170959259682187, -0.03631059431745055, 0.13600296736864065,
        -0.32551499714656235, 0.6119906422539451, -0.962807250018735,
    ):
        first, second = t * first - second + c, first
    series = 0.5 * t * first - second + 0.7730957194443298
    near = series / ((a + 2.0) * torch.sqrt(a + 2.0))
    return torch.where(x < 0.0, _i0e(a) + torch.special.i1e(a), near)'''

_UPPER = '''\
def _upper(x):
    """x without the lower half of its digits: products of two such are exact."""
    if x.dtype == torch.float64:
        return (x.view(torch.int64) & -134217728).view(torch.float64)
    return (x.view(torch.int32) & -4096).view(torch.float32)'''

_PRODUCT_REST = '''\
def _product_rest(a, b):
    """What rounding takes from a*b (T. J. Dekker, 1971)."""
    p, c, d = a * b, _upper(a), _upper(b)
    rest = ((c * d - p) + c * (b - d) + (a - c) * d) + (a - c) * (b - d)
    return torch.where(torch.isfinite(rest), rest, 0.0)'''

_SUM_REST = '''\
def _sum_rest(a, b):
    """What rounding takes from a + b (D. E. Knuth, 1969)."""
    s = a + b
    c = s - a
    return (a - (s - c)) + (b - c)'''

_SIN_SUM = '''\
def _sin_sum(a, b):
    """sin(a + b)."""
    return torch.sin(a) * torch.cos(b) + torch.cos(a) * torch.sin(b)'''

_COS_SUM = '''\
def _cos_sum(a, b):
    """cos(a + b)."""
    return torch.cos(a) * torch.cos(b) - torch.sin(a) * torch.sin(b)'''

HELPERS: dict[str, str] = {
    "_upper": _UPPER,
    "product_rest": _PRODUCT_REST,
    "sum_rest": _SUM_REST,
    "sin_sum": _SIN_SUM,
    "cos_sum": _COS_SUM,
    "asinh": _ASINH,
    "logsigmoid": _LOGSIGMOID,
    "softplus": _SOFTPLUS,
    "logcosh": _LOGCOSH,
    "hypot1": _HYPOT1,
    "sinc": _SINC,
    "sinc_grad": _SINC_GRAD,
    "erfcx": _ERFCX,
    "erfcx_grad": _ERFCX_GRAD,
    "ndtr": _NDTR,
    "log_ndtr": _LOG_NDTR,
    "i0e": _I0E,
    "i1e": _I1E,
    "i1e_ratio": _I1E_RATIO,
    "i0e_minus_i1e": _I0E_MINUS_I1E,
}
