"""Activations in the place of normalizations: DyT, Derf and others."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from symact import Activation, InputError, load_grammar, parse_grammar, replace_norms
from symact.activation.check import check


def encoder() -> nn.Module:
    layer = nn.TransformerEncoderLayer(12, 2, 16, dropout=0.0, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


def test_dyt_has_one_alpha_a_layer_and_scale_and_shift_for_each_channel():
    model = encoder()
    report = replace_norms(model, "tanh(alpha*x)", affine=True)
    assert len(report) == 4
    assert not any(isinstance(m, nn.LayerNorm) for m in model.modules())
    new = model.layers[0].norm1
    assert {n: tuple(p.shape) for n, p in new.named_parameters()} == {"alpha": (), "weight": (12,), "bias": (12,)}
    x = torch.randn(3, 5, 12)
    torch.testing.assert_close(new(x), torch.tanh(0.5 * x))
    for said in (str(report), repr(model)):
        assert "weight*tanh(alpha*x) + bias" in said
    assert model(x).shape == x.shape


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_values_and_all_gradients_are_those_of_the_formula(dtype):
    model = nn.Sequential(nn.LayerNorm(7))
    replace_norms(model, "erf(alpha*x + s)")
    derf = model[0].to(dtype)
    with torch.no_grad():
        derf.weight.copy_(torch.linspace(0.5, 2, 7))
        derf.bias.copy_(torch.linspace(-1, 1, 7))
        derf.s.fill_(0.25)
    x, grad = torch.randn(4, 6, 7).to(dtype).requires_grad_(), torch.randn(4, 6, 7).to(dtype)
    inputs = [x, derf.alpha, derf.s, derf.weight, derf.bias]
    found = torch.autograd.grad(derf(x), inputs, grad)
    double = [t.detach().double().requires_grad_() for t in inputs]
    wide, alpha, s, weight, bias = double
    exact = torch.autograd.grad(weight * torch.erf(alpha * wide + s) + bias, double, grad.double())
    tolerance = {torch.float32: 1e-5, torch.float64: 1e-12, torch.bfloat16: 2e-2}[dtype]
    for own, wanted in zip(found, exact, strict=True):
        torch.testing.assert_close(own.double(), wanted, rtol=tolerance, atol=tolerance)


NORMS = load_grammar("norms")


@pytest.mark.parametrize("name", [operator.name for operator in NORMS.of_kind("unary")])
def test_the_published_functions_are_odd_bounded_and_right_and_so_are_their_slopes(name):
    report = check(f"{name}(x)", NORMS)
    assert report.passed, report
    x, far = torch.randn(20), torch.tensor([-1e30, 1e30])
    model = nn.Sequential(nn.LayerNorm(20))
    replace_norms(model, f"{name}(x)", grammar=NORMS)
    torch.testing.assert_close(model(-x), -model(x))
    assert Activation(f"{name}(x)", NORMS)(far).tolist() == pytest.approx([-1, 1], abs=0.02)


def test_scale_and_shift_of_the_normalization_are_taken_over():
    norm = nn.LayerNorm(3)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 2.0, 3.0]))
        norm.bias.copy_(torch.tensor([-1.0, 0.0, 1.0]))
    model = nn.Sequential(norm)
    replace_norms(model, "tanh(alpha*x)")
    assert model[0].weight.tolist() == [1.0, 2.0, 3.0]
    assert model[0].bias.tolist() == [-1.0, 0.0, 1.0]


def test_without_affine_it_is_the_function_alone_and_a_factory_makes_what_it_likes():
    model = nn.Sequential(nn.LayerNorm(4), nn.RMSNorm(4))
    replace_norms(model, "tanh(alpha*x)", affine=False, of=(nn.LayerNorm,))
    assert [n for n, _ in model[0].named_parameters()] == ["alpha"]
    assert isinstance(model[1], nn.RMSNorm)
    replace_norms(model, lambda: Activation("atan(x)"), of=(nn.RMSNorm,))
    assert str(model[1]) == "Activation(atan(x))"


def test_normalizations_of_images_have_their_channels_second():
    torchvision = pytest.importorskip("torchvision")
    model = torchvision.models.convnext_tiny(num_classes=3)
    report = replace_norms(model, "tanh(alpha*x)")
    assert not report.not_replaced
    assert {m.channel_dim for m in model.modules() if isinstance(m, Activation)} == {1, -1}
    assert model(torch.randn(1, 3, 32, 32)).shape == (1, 3)


def test_a_model_of_transformers_made_from_a_config():
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
        vocab_size=31, max_position_embeddings=32,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config)
    report = replace_norms(model, "tanh(alpha*x)")
    assert len(report) == 5
    model(torch.randint(0, 31, (2, 7))).logits.sum().backward()
    assert model.model.norm.weight.grad.shape == (16,)


def test_what_cannot_be_replaced_is_named():
    model = nn.Sequential(nn.LayerNorm((3, 4)))
    report = replace_norms(model, "tanh(alpha*x)")
    assert "no one dimension of channels" in str(report)
    assert "no LayerNorm or RMSNorm" in str(replace_norms(nn.Sequential(nn.Linear(2, 2)), "tanh(x)"))


def test_a_shared_normalization_stays_shared():
    norm = nn.LayerNorm(4)
    model = nn.Sequential(norm, nn.Linear(4, 4), norm)
    replace_norms(model, "tanh(alpha*x)")
    assert model[0] is model[2]
    assert isinstance(model[0], Activation)


@pytest.mark.parametrize(
    ("expr", "reason"),
    [("x*g", "unknown name"), ("tanh(gamma*x)", "gamma"), ("tanh(", "never closed")],
)
def test_a_wrong_expression_is_refused_before_anything_is_touched(expr, reason):
    model = nn.Sequential(nn.LayerNorm(4))
    with pytest.raises(InputError, match=reason):
        replace_norms(model, expr)
    assert isinstance(model[0], nn.LayerNorm)


def test_a_parameter_called_weight_cannot_stand_beside_the_scale():
    grammar = parse_grammar('[parameters]\nweight = { init = 1.0 }\n[unary]\nf = "tanh(weight*x)"')
    with pytest.raises(InputError, match="affine=False"):
        replace_norms(nn.Sequential(nn.LayerNorm(4)), "f(x)", grammar=grammar)
