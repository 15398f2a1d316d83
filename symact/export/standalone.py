"""Expression -> the text of a Python module that needs torch alone: the function to take home.

The text holds the function, its gradient and its second derivative as plain torch operations, all made
from Programs, the `nn.Module` round them, and a self-test against values in high precision.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from string import Template

import mpmath
from torch import nn

import symact
from symact.activation.float32_range import ORDINARY, double_form, limit
from symact.activation.high_precision import evaluate
from symact.backends import torch_source
from symact.errors import InputError
from symact.expr.display import latex
from symact.expr.functions import G, X
from symact.expr.operators import Parameter
from symact.expr.tree import Expr, to_sympy
from symact.program.gradient import backward
from symact.program.pipeline import lower

Constants = Mapping[str, float | Sequence[float]]

# Where the self-test looks: away from 0 and the whole numbers, where kinks are.
TEST_POINTS = (-8.6, -4.3, -2.2, -1.1, -0.35, -0.04, 0.03, 0.45, 1.2, 2.3, 4.4, 8.7)

_MODULE = Template('''\
r"""$formula

$about that needs torch alone, written by symact $version.

    LaTeX: $latex
$about_parameters$note
Use it as `act = $kind()` or, as a function, `$function($variables)`. The gradient is the function's own,
stable form; only $saved for backward. Run this file to test it.
"""

import torch
from torch import nn


$helpers$value


$gradient


$curvature


def _tuple(terms):
    return terms if isinstance(terms, tuple) else (terms,)


def _sized(terms, inputs):
    """Gradients of the broadcast inputs, summed to their shapes."""
    terms = _tuple(terms)
    return tuple(term.expand_as(terms[0]).sum_to_size(i.shape) for term, i in zip(terms, inputs))


def _filled(tangents, inputs):
    return [torch.zeros_like(i) if t is None else t for t, i in zip(tangents, inputs)]


class _Gradient(torch.autograd.Function):
    """The gradient, itself differentiable."""

    generate_vmap_rule = True

    @staticmethod
    def forward(*inputs):
        return _gradient(*inputs)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, *grads):
        return _sized(_curvature(*ctx.saved_tensors, *grads), ctx.saved_tensors)

    @staticmethod
    def jvp(ctx, *tangents):
        return _Tangent.apply(*ctx.saved_tensors, *_filled(tangents, ctx.saved_tensors))


def _tangent(*arguments):
    """The tangent of the gradient; second derivatives are symmetric, so `_curvature` gives them along tangents, too."""
    half = len(arguments) // 2
    *inputs, grad = arguments[:half]
    *along, change = arguments[half:]
    pairs = zip(_tuple(_curvature(*inputs, grad, *along)), _tuple(_gradient(*inputs, change)))
    total = tuple(bent + moved for bent, moved in pairs)
    return total if len(total) > 1 else total[0]


class _Tangent(torch.autograd.Function):
    """`_tangent`; a further derivative is left to PyTorch."""

    generate_vmap_rule = True

    @staticmethod
    def forward(*arguments):
        return _tangent(*arguments)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, *grads):
        pull = torch.func.vjp(_tangent, *ctx.saved_tensors)[1]
        return pull(grads if len(grads) > 1 else grads[0])


class _Sum(torch.autograd.Function):
    """The sum of two tangents, which forward mode does not see otherwise."""

    generate_vmap_rule = True

    @staticmethod
    def forward(a, b):
        return a + b

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, grad):
        return grad, grad

    @staticmethod
    def jvp(ctx, a, b):
        return b if a is None else a if b is None else _Sum.apply(a, b)


class _Function(torch.autograd.Function):
    """The function with derivatives of first and second order, in reverse and forward mode."""

    generate_vmap_rule = True

    @staticmethod
    def forward(*inputs):
        return _value(*inputs)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, grad):
        return _sized(_Gradient.apply(*ctx.saved_tensors, grad), ctx.saved_tensors)

    @staticmethod
    def jvp(ctx, *tangents):
        terms = []
        for position, tangent in enumerate(tangents):
            if tangent is not None:
                terms.append(_tuple(_Gradient.apply(*ctx.saved_tensors, tangent))[position])
        total = terms[0]
        for term in terms[1:]:
            total = _Sum.apply(total, term)
        return total


def _apply(*inputs):
    return _Function.apply(*inputs)


@torch.compiler.assume_constant_result
def _compiled():
    """Let compilers take `_apply` as one call, differentiated and transformed as outside."""
    torch.compiler.allow_in_graph(_apply)


def $function($variables$arguments):
    """$formula, for $tensors of any shape and floating dtype."""
$together$working
    inputs = [$brought]
$broadcast    if torch.compiler.is_compiling():
        _compiled()
    return _apply(*inputs).to(x.dtype)


class $kind(nn.Module):
    """$formula$about_module"""

    def __init__(self$inplace$module_arguments):
        super().__init__()
$attributes
    def forward(self, $variables):
        return $function($variables$uses)
$packed
$sites
# ($variables, value, $slopes) in high precision$at.
_REFERENCE = (
$reference)


$self_test

if __name__ == "__main__":
    try:
        self_test()
    except AssertionError as error:
        raise SystemExit(f"wrong (x, found, right): {error}") from None
''')

# The test of a function of one tensor, and of two.
_TEST = Template('''\
def self_test():
    """Value and gradient against high precision, and the gradients of first and second order against differences."""
    for point, value, slope in _REFERENCE:
        for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 2e-5)):
            x = torch.tensor(point, dtype=dtype, requires_grad=True)
            y = activation(x$test_values)
            (grad,) = torch.autograd.grad(y, x)
            rounding = tolerance * (1 + abs(point * slope))
            assert abs(y.item() - value) <= tolerance * abs(value) + rounding, (point, y.item(), value)
            assert abs(grad.item() - slope) <= 10 * tolerance * (1 + abs(slope)), (point, grad.item(), slope)
    assert _REFERENCE, "the function is finite at none of the points that are tried"
    near = [p for p, _, _ in _REFERENCE if abs(p) < 10]
    points = torch.tensor(near, dtype=torch.float64, requires_grad=True)
    if near:
        assert torch.autograd.gradcheck(lambda x: activation(x$test_values), points, rtol=1e-3, atol=1e-4)
        assert torch.autograd.gradgradcheck(lambda x: activation(x$test_values), points, rtol=1e-2, atol=1e-3)
    print(f"ok: {len(_REFERENCE)} values and gradients")
''')
_TEST_OF_TWO = Template('''\
def self_test():
    """Values and gradients against high precision, and the gradients of first and second order against differences."""
    for *point, value, to_x, to_g in _REFERENCE:
        for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 2e-5)):
            x, g = (torch.tensor(p, dtype=dtype, requires_grad=True) for p in point)
            y = gate(x, g$test_values)
            slopes = torch.autograd.grad(y, (x, g))
            rounding = tolerance * (1 + abs(point[0] * to_x) + abs(point[1] * to_g))
            assert abs(y.item() - value) <= tolerance * abs(value) + rounding, (point, y.item(), value)
            for slope, right in zip(slopes, (to_x, to_g)):
                assert abs(slope.item() - right) <= 10 * tolerance * (1 + abs(right)), (point, slope.item(), right)
    assert _REFERENCE, "the function is finite at none of the points that are tried"
    near = [point for *point, _, _, _ in _REFERENCE if max(map(abs, point)) < 10]
    pair = [torch.tensor(column, dtype=torch.float64, requires_grad=True) for column in zip(*near)]
    if near:
        assert torch.autograd.gradcheck(lambda x, g: gate(x, g$test_values), pair, rtol=1e-3, atol=1e-4)
        assert torch.autograd.gradgradcheck(lambda x, g: gate(x, g$test_values), pair, rtol=1e-2, atol=1e-3)
    print(f"ok: {len(_REFERENCE)} values and gradients")
''')

_PACKED = '''
    def packed(self, h, interleaved=False, x_last=False):
        """At the halves of the last dimension, or at every other element: x and then g, or g and then x."""
        first, second = (h[..., 0::2], h[..., 1::2]) if interleaved else h.chunk(2, -1)
        return self(second, first) if x_last else self(first, second)
'''
# How two tensors go together.
_TOGETHER = """\
    dtype = torch.result_type(x, g)
    x, g = torch.broadcast_tensors(x.to(dtype), g.to(dtype))
"""

# Names that a parameter cannot have in the text, beside those of torch_source.
_TAKEN = frozenset({*dir(nn.Module()), "self", "inplace", "channels", "shape", "working", "inputs", "function", "wide"})
_TAKEN |= {
    "parameter",
    "nn",
    "activation",
    "Activation",
    "self_test",
    "site",
    "SITES",
    "made",
    "number",
    "setattr",
    "int",
    "float",
    "bool",
    "len",
    "abs",
    "zip",
}


_SITES = Template('''
# What each activation of the network has learned, in the order of the forward pass.
SITES = {
$rows}


def site(number):
    """The activation of one site, counted from 1, with what it has learned there."""
    made = Activation()
    for name, value in SITES[number].items():
        setattr(made, name, nn.Parameter(torch.tensor(value)))
    return made

''')


def source(
    expr: Expr,
    constants: Constants | None = None,
    channel_dim: int = 1,
    sites: Mapping[int, Constants] | None = None,
    variables: int = 1,
    note: str = "",
) -> str:
    """The text of the module.

    Args:
        expr: the expression.
        constants: parameter name -> learned value, a number or one per channel; else its `init`.
        channel_dim: the dimension of the input that counts channels.
        sites: number of a site of a network -> the values learned there; the module then has a function `site`.
        variables: of how many tensors it is a function at least: 2 for a gate.
        note: a sentence for its readers.

    Raises:
        InputError: `constants` names no parameter, or holds something else than finite numbers.
    """
    given = lower(expr, variables)
    derivatives = given, backward(given), backward(backward(given))
    program, slope, bend = map(double_form, derivatives)
    values = parameter_values(expr, constants)
    declared = [next(p for p in expr.parameters if p.name == name) for name in program.parameters]
    count = given.variables
    taken = _TAKEN if count == 1 else _TAKEN | {"g", "h", "dtype", "gate", "Gate", "packed", "interleaved"}
    names = [f"{name}_" if name in taken else name for name in torch_source.identifiers(program.inputs)[count:]]
    single = [value if isinstance(value, float) else value[0] for value in (values[p.name] for p in declared)]
    defaults = [repr(values[p.name]) for p in declared]
    wide = min(limit(each) if form is each else -1.0 for each, form in zip(derivatives, (program, slope), strict=False))
    scalars = dict(zip((p.name for p in declared), single, strict=True))
    return _MODULE.substitute(
        formula=_shown(str(expr)),
        version=symact.__version__,
        latex=_shown(latex(expr)),
        about_parameters=_about_parameters(declared, values),
        note=f"\n{_shown(note)}\n" if note else "",
        helpers="".join(f"{text}\n\n\n" for text in torch_source.helpers(program, slope, bend)),
        value=torch_source.body(program, "_value"),
        gradient=torch_source.body(slope, "_gradient"),
        curvature=torch_source.body(bend, "_curvature"),
        **_words(count),
        arguments="".join(f", {n}={v!r}" for n, v in zip(names, single, strict=True)),
        working=_working(wide),
        broadcast=_broadcast(names, channel_dim),
        about_module=". A parameter has one value per layer, or with `channels=C` one per channel." if names else "",
        module_arguments=", channels=None" if names else "",
        attributes=_attributes(names, defaults),
        sites=_sites(expr, [p.name for p in declared], names, sites),
        uses="".join(f", {_entering(n, p)}" for n, p in zip(names, declared, strict=True)),
        at=" at " + ", ".join(f"{n} = {v!r}" for n, v in scalars.items()) if scalars else "",
        reference="".join(f"    {row!r},\n" for row in references(expr, scalars, count)),
        self_test=(_TEST, _TEST_OF_TWO)[count - 1].substitute(test_values="".join(f", {v!r}" for v in single)),
    )


def _words(variables: int) -> dict[str, str]:
    """What differs between a function of one tensor and of two."""
    if variables == 1:
        return {
            "about": "An activation function", "function": "activation", "kind": "Activation", "variables": "x",
            "tensors": "a tensor", "together": "", "brought": "x.to(working)", "packed": "", "slopes": "derivative",
            "inplace": ", inplace=False", "saved": "the input is saved",
        }  # fmt: skip
    return {
        "about": "A gate (a function of two tensors)", "function": "gate", "kind": "Gate", "variables": "x, g",
        "tensors": "two tensors", "together": _TOGETHER, "brought": "x.to(working), g.to(working)", "packed": _PACKED,
        "slopes": "derivative in x, derivative in g", "saved": "the inputs are saved", "inplace": "",
    }  # fmt: skip


def _sites(expr: Expr, parameters: Sequence[str], names: Sequence[str], sites: Mapping[int, Constants] | None) -> str:
    rows = []
    for site, learned in (sites or {}).items():
        values = parameter_values(expr, learned)
        pairs = zip(names, parameters, strict=True)
        rows.append(f"    {site}: {{" + ", ".join(f'"{name}": {values[own]!r}' for name, own in pairs) + "},\n")
    return _SITES.substitute(rows="".join(rows)) if rows else ""


def parameter_values(expr: Expr, constants: Constants | None) -> dict[str, float | list[float]]:
    """Parameter name -> its learned value where `constants` has one, else its `init`.

    Raises:
        InputError: `constants` names no parameter, or holds something else than finite numbers.
    """
    values: dict[str, float | list[float]] = {p.name: float(p.init) for p in expr.parameters}
    for name, value in (constants or {}).items():
        if name not in values:
            raise InputError(f"{expr} has no parameter {name!r}")
        numbers = [float(v) for v in value] if isinstance(value, Sequence) else [float(value)]
        if not numbers or not all(map(math.isfinite, numbers)):
            raise InputError(f"the value of {name!r} is not finite: {value}")
        values[name] = numbers if isinstance(value, Sequence) else numbers[0]
    return values


def references(expr: Expr, parameters: Mapping[str, float], variables: int = 1) -> list[tuple[float, ...]]:
    """(x, value, derivative), of two variables (x, g, value, both derivatives), where they are defined and not huge."""
    formula, rows = to_sympy(expr), []
    for number, point in enumerate(TEST_POINTS):
        # The other variable takes the same places in another order.
        other = TEST_POINTS[(5 * number + 3) % len(TEST_POINTS)]
        places = (point, other)[:variables]
        with mpmath.workdps(40):
            found = [evaluate(formula, point, {**parameters, "g": other})]
            if variables > 1:
                exchanged = formula.xreplace({X: G, G: X})
                found.append(evaluate(exchanged, other, {**parameters, "g": point}))
            good = [one for one in found if one is not None]
            if len(good) < variables:
                continue
            numbers = [float(good[0].value), *[float(one.slope) for one in good]]
        if all(math.isfinite(n) and abs(n) < 1e6 for n in numbers):
            rows.append((*places, *numbers))
    return rows


def _shown(text: str) -> str:
    """A text on one line, such that it cannot end the docstring that it stands in."""
    return " ".join(text.split()).replace('"', "'").rstrip("\\")


def _about_parameters(declared: list[Parameter], values: Mapping[str, float | list[float]]) -> str:
    if not declared:
        return ""
    lines = ["", "Learnable parameters and their values here:"]
    for parameter in declared:
        value = values[parameter.name]
        shown = f"{value:.8g}" if isinstance(value, float) else f"one per channel, {len(value)} of them"
        lines.append(f"    {parameter.name} = {shown}{' (kept positive)' if parameter.positive else ''}")
    return "\n".join(lines) + "\n"


def _working(limit: float) -> str:
    """The statement that chooses a precision, by the same rule as `plan.plain`: never by values."""
    if limit == math.inf:
        return "    working = torch.float64 if x.dtype == torch.float64 else torch.float32"
    where = f"    # In float32 this formula is accurate for |x| <= {limit:.3g} alone."
    if limit < 0:
        where = "    # In float32 this formula is not accurate."
    if limit < ORDINARY:
        return f"{where}\n    working = torch.float64"
    double = 'x.dtype == torch.float64 or x.device.type == "cpu"'
    return f"{where}\n    working = torch.float64 if {double} else torch.float32"


def _broadcast(names: list[str], channel_dim: int) -> str:
    """The statements that bring parameters to the input's precision and its channels."""
    if not names:
        return ""
    lines = [
        f"for parameter in [{', '.join(names)}]:",
        "    parameter = torch.as_tensor(parameter, dtype=working, device=x.device)",
    ]
    if channel_dim >= 0:
        lines.append(f"    if parameter.numel() > 1 and x.dim() > {channel_dim + 1}:")
        lines.append(f"        parameter = parameter.view(-1, *[1] * (x.dim() - {channel_dim + 1}))")
    elif channel_dim < -1:
        lines.append(f"    if parameter.numel() > 1 and x.dim() > {-channel_dim - 1}:")
        lines.append(f"        parameter = parameter.view(-1{', 1' * (-channel_dim - 1)})")
    lines.append("    inputs.append(parameter)")
    return "".join(f"    {line}\n" for line in lines)


def _attributes(names: list[str], defaults: list[str]) -> str:
    if not names:
        return ""
    lines = ["shape = () if channels is None else (channels,)"]
    for name, default in zip(names, defaults, strict=True):
        plural = default.startswith("[")
        start = f"torch.tensor({default})" if plural else f"torch.full(shape, {default})"
        lines.append(f"self.{name} = nn.Parameter({start})")
    if all(default.startswith("[") for default in defaults):
        lines.pop(0)
    return "".join(f"        {line}\n" for line in lines)


def _entering(name: str, parameter: Parameter) -> str:
    """A positive parameter enters the formula as its absolute value, so that no step makes it negative."""
    return f"self.{name}.abs().clamp(min=1e-6)" if parameter.positive else f"self.{name}"
