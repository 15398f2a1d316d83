"""Activations in other people's models: what is replaced, what is kept, what is reported."""

from __future__ import annotations

import copy
import functools
import html
import io
import pickle
from collections import OrderedDict
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

import symact
from symact.activation.layers import activation_layer
from symact.activation.module import Activation
from symact.activation.replace import ACTIVATIONS, replace_activations
from symact.expr.operators import Parameter, Vocabulary

LEARNABLE = Vocabulary(parameters={"beta": Parameter("beta"), "gate": Parameter("gate", per="channel")})

# Formulas of the activations that the models were made with: replacing by the same changes no number.
SAME = {nn.ReLU: "relu(x)", nn.GELU: "gelu(x)", nn.SiLU: "swish(x)", nn.Hardswish: "hardswish(x)"}


def left_over(model: nn.Module) -> list[str]:
    return [name for name, module in model.named_modules() if type(module) in ACTIVATIONS]


def unchanged_by_replacing_with_the_same(model: nn.Module, x: torch.Tensor) -> list[int]:
    """Replace each class by its own formula; outputs and gradients stay, in training and in evaluation."""
    before = copy.deepcopy(model)
    counts = [len(replace_activations(model, text, of=(kind,))) for kind, text in SAME.items()]
    for training in (False, True):
        results = []
        for candidate in (before, model):
            candidate.train(training)
            torch.manual_seed(0)
            output = candidate(x)
            output = output if isinstance(output, torch.Tensor) else output[0]
            output.square().sum().backward()
            results.append((output.detach(), [p.grad for p in candidate.parameters() if p.grad is not None]))
            candidate.zero_grad(set_to_none=True)
        (old, old_grads), (new, new_grads) = results
        torch.testing.assert_close(new, old, rtol=2e-3, atol=2e-4)
        assert len(old_grads) == len(new_grads)
        for mine, theirs in zip(new_grads, old_grads, strict=True):
            assert (mine - theirs).norm() <= 1e-2 * theirs.norm() + 1e-3
    return counts


@pytest.mark.parametrize(
    ("name", "options", "size", "counts"),
    [
        ("resnet18", {}, 32, [9, 0, 0, 0]),
        ("mobilenet_v3_small", {"dropout": 0.0}, 32, [14, 0, 0, 19]),
        ("vit_b_16", {"image_size": 32}, 32, [0, 12, 0, 0]),
        ("densenet121", {}, 32, [121, 0, 0, 0]),
        ("googlenet", {"init_weights": False, "aux_logits": False, "dropout": 0.0}, 32, [57, 0, 0, 0]),
    ],
)
def test_replacing_by_the_same_function_changes_no_number(name, options, size, counts):
    torch.manual_seed(0)
    model = getattr(torchvision.models, name)(weights=None, num_classes=10, **options)
    assert unchanged_by_replacing_with_the_same(model, torch.randn(2, 3, size, size)) == counts
    assert not left_over(model)


@pytest.mark.parametrize(("name", "size", "least"), [("mobilevitv2_050", 64, 34), ("coatnet_pico_rw_224", 224, 23)])
def test_networks_of_timm_are_replaced_whole(name, size, least):
    timm = pytest.importorskip("timm", reason="timm is not installed: its networks are NOT tested")
    model = timm.create_model(name, pretrained=False, num_classes=10).eval()
    report = replace_activations(model, "x*sigmoid(beta*x)", grammar=LEARNABLE)
    assert len(report) == least
    assert not report.not_replaced
    assert not left_over(model)
    model(torch.randn(1, 3, size, size)).sum().backward()
    betas = [p for n, p in model.named_parameters() if n.endswith("beta")]
    assert len(betas) == least
    assert all(beta.grad is not None for beta in betas)


class Functional(nn.Module):
    """Calls of every kind, one in place, under a switch of training."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.held = F.silu

    def forward(self, x: torch.Tensor, scale: float = 1.0, mask: torch.Tensor | None = None) -> torch.Tensor:
        x = self.linear(x) * scale
        if mask is not None:
            x = x * mask
        y = F.relu(x).relu() + torch.relu(x)
        z = x * 1.0
        F.relu(z, inplace=True)
        return F.dropout(y, 0.5, self.training) + self.helper(z) + self.held(x)

    def helper(self, x: torch.Tensor) -> torch.Tensor:
        return F.gelu(x, approximate="tanh")


def test_calls_become_submodules_in_the_same_model():
    torch.manual_seed(0)
    model, x = Functional().eval(), torch.randn(3, 4)
    report = replace_activations(model, "where(x > 0, x, 0.1*x)")
    assert len(report) == 6
    assert isinstance(model, Functional)
    assert [old for _, old, _ in report.replaced] == [
        "F.silu (attribute)",
        "F.relu in Functional",
        "x.relu in Functional",
        "torch.relu in Functional",
        "F.relu in Functional",
        "F.gelu in Functional",
    ]
    f = lambda v: F.leaky_relu(v, 0.1)
    h = model.linear(x)
    torch.testing.assert_close(model(x), f(f(h)) + f(h) + f(f(h)) + f(h))


def test_a_traced_forward_still_knows_training_from_evaluation():
    model = Functional()
    replace_activations(model, "relu(x)")
    x = torch.randn(64, 4)
    torch.testing.assert_close(model.eval()(x), model(x))
    model.train()
    assert not torch.equal(model(x), model(x))


def test_an_argument_that_tracing_fixed_is_refused_and_not_ignored():
    model = Functional().eval()
    replace_activations(model, "relu(x)")
    x = torch.randn(3, 4)
    torch.testing.assert_close(model(x, mask=None, scale=1), model(x))
    with pytest.raises(symact.InputError, match="traced with mask=None"):
        model(x, mask=torch.zeros(4))


class Untraceable(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x) if x.sum() > 0 else x


class OwnReLU(nn.ReLU):
    pass


def test_what_cannot_be_replaced_is_reported_with_the_reason():
    report = replace_activations(nn.Sequential(Untraceable(), OwnReLU(), nn.ReLU()), "tanh(x)")
    assert [name for name, _, _ in report.replaced] == ["2"]
    reasons = {name: reason for name, _, reason in report.not_replaced}
    assert "subclass of ReLU" in reasons["1"]
    assert "cannot trace Untraceable.forward" in reasons["0"]
    assert "replaced 1 activations, left 2" in str(report)
    assert "<table>" in report._repr_html_()


def test_sites_are_separate_but_a_shared_module_stays_shared():
    shared = nn.ReLU()
    model = nn.Sequential(shared, nn.Linear(2, 2), shared, nn.ReLU())
    report = replace_activations(model, "beta*x", grammar=LEARNABLE)
    assert len(report) == 3
    assert model[0] is model[2]
    assert model[0] is not model[3]
    assert len(list(model.parameters())) == 4


def test_device_dtype_and_mode_are_those_of_the_model():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU()).double().eval()
    replace_activations(model, "beta*tanh(x)", grammar=LEARNABLE)
    assert model[1].beta.dtype == torch.float64
    assert not model[1].training
    assert model(torch.randn(3, 2, dtype=torch.float64)).dtype == torch.float64
    half = nn.Sequential(nn.Linear(2, 2), nn.ReLU()).to(torch.bfloat16)
    replace_activations(half, "beta*tanh(x)", grammar=LEARNABLE)
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    assert half[1].training


def test_parameters_per_channel_take_the_channels_of_an_example():
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Conv2d(5, 7, 3), Functional4())
    report = replace_activations(model, "x*sigmoid(gate*x)", grammar=LEARNABLE, example=torch.randn(1, 3, 9, 9))
    assert len(report) == 2
    assert [tuple(p.shape) for n, p in model.named_parameters() if "gate" in n] == [(5,), (7,)]
    assert model.training
    assert "channels=5" in str(report)


class Functional4(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x)


def test_only_the_classes_that_are_named_are_replaced():
    model = nn.Sequential(nn.ReLU(), nn.Sigmoid(), nn.GELU())
    replace_activations(model, "sin(x)", of=(nn.GELU, nn.Sigmoid))
    assert [type(m) for m in model] == [nn.ReLU, type(model[1]), type(model[2])]
    assert isinstance(model[1], Activation)


def test_a_factory_is_called_once_per_site_in_order():
    made = []
    model = nn.Sequential(nn.ReLU(), nn.Sequential(nn.GELU()))
    replace_activations(model, lambda: made.append(nn.Tanh()) or made[-1])
    assert [model[0], model[1][0]] == made


def test_transformer_layers_leave_the_fast_path_that_knows_relu_only():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    replace_activations(model, "0*x")
    with torch.no_grad():
        fast = model(torch.ones(1, 3, 8))
    torch.testing.assert_close(fast, model(torch.ones(1, 3, 8)))
    assert isinstance(model.layers[1].activation, Activation)


def test_copies_states_and_compiled_forms_of_a_traced_model_work():
    torch.manual_seed(0)
    model = nn.Sequential(Functional(), Functional()).eval()
    replace_activations(model, "x*sigmoid(beta*x)", grammar=LEARNABLE)
    x = torch.randn(3, 4)
    torch.testing.assert_close(copy.deepcopy(model)(x), model(x))
    stored = io.BytesIO()
    torch.save(model.state_dict(), stored)
    stored.seek(0)
    other = nn.Sequential(Functional(), Functional()).eval()
    replace_activations(other, "x*sigmoid(beta*x)", grammar=LEARNABLE)
    other.load_state_dict(torch.load(stored, weights_only=True))
    torch.testing.assert_close(other(x), model(x))
    exported = torch.export.export(model, (x,)).module()
    torch.testing.assert_close(exported(x), model(x))


@pytest.mark.slow
def test_a_model_after_surgery_compiles_without_graph_breaks():
    torch.manual_seed(0)
    model = nn.Sequential(Functional(), nn.ReLU()).eval()
    replace_activations(model, "x*sigmoid(beta*x)", grammar=LEARNABLE)
    x = torch.randn(3, 4)
    torch.testing.assert_close(torch.compile(model, fullgraph=True)(x), model(x))


@pytest.mark.parametrize("argument", [{"inplace": True}, {}, {"dim": 3}])
def test_activation_layer_takes_what_libraries_give_it(argument):
    layer = activation_layer("x*sigmoid(x)")
    x = torch.randn(5)
    torch.testing.assert_close(layer(**argument)(x), F.silu(x))


def test_activation_layer_goes_into_torchvision_and_timm():
    layer = activation_layer("x*sigmoid(beta*x)", LEARNABLE)
    block = torchvision.ops.MLP(4, [8, 2], activation_layer=layer)
    assert block(torch.randn(3, 4)).shape == (3, 2)
    assert len([m for m in block.modules() if isinstance(m, Activation)]) == 1
    timm = pytest.importorskip("timm")
    model = timm.create_model("mobilenetv3_small_050", pretrained=False, act_layer=layer)
    assert sum(isinstance(m, layer) for m in model.modules()) > 10


def test_mistakes_are_told_in_one_line():
    with pytest.raises(symact.InputError, match="itself an activation"):
        replace_activations(nn.ReLU(), "tanh(x)")
    with pytest.raises(symact.InputError, match="shared by all sites"):
        replace_activations(nn.Sequential(nn.ReLU()), nn.Tanh())
    with pytest.raises(symact.InputError, match="not a torch module"):
        replace_activations(nn.Sequential(nn.ReLU()), lambda: 3)
    with pytest.raises(symact.InputError, match="takes a torch module"):
        replace_activations("resnet18", "tanh(x)")
    model = nn.Sequential(nn.ReLU())
    with pytest.raises(symact.InputError):
        replace_activations(model, "tanh(x", example=torch.ones(1, 2))
    assert type(model[0]) is nn.ReLU


class Held(nn.Module):
    """Functions of the model's own in every place where people keep them."""

    def __init__(self):
        super().__init__()
        self.first = lambda x: F.relu(x)
        self.second = functools.partial(F.leaky_relu, negative_slope=0.1)
        self.third = [F.gelu]
        self.fourth = {"silu": F.silu}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fourth["silu"](self.third[0](self.second(self.first(x))))


def test_functions_held_as_attributes_are_calls_all_the_same():
    for name in (None, "act"):
        model = Held() if name is None else nn.Sequential(OrderedDict(act=Held()))
        report = replace_activations(model, "sin(x)")
        assert len(report) == 4, report
        x = torch.randn(5)
        torch.testing.assert_close(model(x), x.sin().sin().sin().sin())


class Calls(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x) + x.sigmoid()


@pytest.mark.parametrize(
    ("model", "hint"),
    [
        (nn.Sequential(nn.Tanh(), nn.Linear(2, 2), nn.Tanh()), "2 nn.Tanh; to replace them, give of=(nn.Tanh,)"),
        (nn.Sequential(nn.Sigmoid(), nn.Hardtanh()), "1 nn.Sigmoid, 1 nn.Hardtanh; to replace them"),
        (Calls(), "calls of tanh in Calls, calls of sigmoid in Calls; to replace them, give of=(nn.Tanh, nn.Sigmoid,)"),
        (nn.Linear(2, 2), "no module or call of ReLU, ReLU6"),
    ],
)
def test_where_nothing_is_found_the_report_says_what_to_do(model: nn.Module, hint: str):
    report = replace_activations(model, "sin(x)")
    assert len(report) == 0
    assert hint in str(report)
    assert html.escape(hint) in report._repr_html_()


def test_no_hint_where_something_was_replaced():
    assert not replace_activations(nn.Sequential(nn.ReLU(), nn.Tanh()), "sin(x)").hints


class Branches(nn.Module):
    """A module that is rewritten twice, with another forward in training."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor, scale: float = 2.0) -> torch.Tensor:
        x = F.relu(self.linear(x)) * scale
        return torch.tanh(x) if self.training else torch.tanh(x) + 1


@pytest.mark.parametrize(
    "make", [lambda: nn.Sequential(nn.ReLU()), lambda: Branches(), lambda: Held(), lambda: Nested()]
)
def test_a_model_after_surgery_is_saved_loaded_and_copied(make: Callable[[], nn.Module]):
    model = make()
    replace_activations(model, "x*sigmoid(beta*x)", grammar=LEARNABLE)
    replace_activations(model, "sin(x)", of=(nn.Tanh,))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3)
    pickled = io.BytesIO()
    if not isinstance(model, Held):  # It holds a lambda, which nobody pickles.
        torch.save(model, pickled)
        pickled.seek(0)
    copies = [copy.deepcopy(model)]
    if pickled.getbuffer():
        copies.append(torch.load(pickled, weights_only=False))
        copies.append(copy.deepcopy(copies[-1]))
    x = torch.randn(2, 3)
    for training in (True, False):
        model.train(training)
        for other in copies:
            other.train(training)
            assert [k.__name__ for k in type(other).__mro__] == [k.__name__ for k in type(model).__mro__]
            assert torch.equal(other(x), model(x))
            assert other.state_dict().keys() == model.state_dict().keys()


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.ModuleList([Branches(), Branches()])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for module in self.inner:
            x = F.relu(module(x))
        return x


def test_a_class_for_libraries_is_pickled_and_what_it_makes_is_replaced():
    layer = pickle.loads(pickle.dumps(activation_layer("x*sigmoid(beta*x)", LEARNABLE, channels=4, channel_dim=-1)))
    module = layer(inplace=True)
    assert (type(module), module.channels, module.channel_dim) == (Activation, 4, -1)
    assert isinstance(module, layer)
    assert not isinstance(Activation("sin(x)"), layer)
    model = nn.Sequential(layer(), nn.Linear(4, 4))
    assert len(replace_activations(model, "sin(x)", of=(Activation,))) == 1
    assert str(model[0].expr) == "sin(x)"


class Tokens(nn.Module):
    """A block of a transformer: channels come last."""

    def __init__(self):
        super().__init__()
        self.patches, self.norm = nn.Conv2d(3, 8, 4, 4), nn.LayerNorm(8)
        self.up, self.act, self.down = nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.patches(x))
        return self.down(self.act(self.up(self.norm(x.flatten(2).transpose(1, 2)))))


def test_the_layer_before_says_which_dimension_counts_channels():
    model = Tokens()
    report = replace_activations(model, "x*sigmoid(gate*x)", grammar=LEARNABLE, example=torch.randn(1, 3, 16, 16))
    found = {m.channels: m.channel_dim for m in model.modules() if isinstance(m, Activation)}
    assert found == {8: 1, 32: -1}, report
    model(torch.randn(2, 3, 24, 24)).sum().backward()


class Swapped(nn.Module):
    """What the layer gave is found elsewhere, or nowhere."""

    def __init__(self, mix: Callable[[torch.Tensor], torch.Tensor]):
        super().__init__()
        self.linear, self.act, self.mix = nn.Linear(6, 8), nn.ReLU(), mix

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.mix(self.linear(x)))


def test_a_dimension_that_is_not_clear_is_refused_and_the_model_left():
    x = torch.randn(2, 5, 6)
    model = Swapped(lambda t: t.transpose(1, 2))
    replace_activations(model, "gate*x", grammar=LEARNABLE, example=x)
    assert (model.act.channels, model.act.channel_dim) == (8, 1)
    model = Swapped(lambda t: t.reshape(2, 10, 4))
    with pytest.raises(symact.InputError, match=r"act was not replaced: .*\(2, 10, 4\).* channel_dim="):
        replace_activations(model, "gate*x", grammar=LEARNABLE, example=x)
    assert type(model.act) is nn.ReLU
    replace_activations(model, "gate*x", grammar=LEARNABLE, example=x, channel_dim=-1)
    assert (model.act.channels, model.act.channel_dim) == (4, -1)


def test_an_example_that_reaches_a_site_with_other_channels_is_refused():
    shared = nn.ReLU()
    model = nn.Sequential(nn.Linear(4, 5), shared, nn.Linear(5, 6), shared)
    with pytest.raises(symact.InputError, match="other channels at each call"):
        replace_activations(model, "gate*x", grammar=LEARNABLE, example=torch.randn(2, 4))
    assert model[1] is model[3] is shared
