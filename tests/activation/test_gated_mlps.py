"""Gates of other people's models: what is replaced, what is kept, what is reported."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torch.profiler import profile

import symact
from symact import Gate, InputError, replace_gates
from symact.activation.gate import PackedGate

# Gates that models are made with, and formulas of them: replacing by the same changes no number.
SWIGLU, GEGLU, REGLU = "x*sigmoid(x)*g", "gelu(x)*g", "max(x,0)*g"


class Llama(nn.Module):
    """A gated layer as Llama has it."""

    def __init__(self, act: nn.Module | None = None):
        super().__init__()
        self.gate_proj, self.up_proj = nn.Linear(6, 8, bias=False), nn.Linear(6, 8, bias=False)
        self.down_proj = nn.Linear(8, 6, bias=False)
        self.act_fn = nn.SiLU() if act is None else act

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x))


class Packed(nn.Module):
    """One projection for both halves, the gate second."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(6, 16), nn.Linear(8, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        value, gate = self.fc1(x).chunk(2, -1)
        value = value.mul(F.gelu(gate))
        return self.fc2(value)


def unchanged(model: nn.Module, text: str, x: torch.Tensor, sites: int, **options: object) -> nn.Module:
    """Replace by the same; outputs and gradients stay."""
    before = copy.deepcopy(model)
    report = replace_gates(model, text, **options)
    assert len(report) == sites, report
    for old, new in zip(results(before, x), results(model, x), strict=True):
        torch.testing.assert_close(new, old, rtol=2e-4, atol=2e-5)
    return model


def results(model: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    model.zero_grad()
    torch.manual_seed(0)
    y = model(x)
    y = y if isinstance(y, torch.Tensor) else y[0]
    y.square().sum().backward()
    return [y.detach(), *[p.grad for p in model.parameters() if p.grad is not None]]


@pytest.mark.parametrize(("model", "text"), [(Llama(), SWIGLU), (Llama(nn.ReLU()), REGLU), (Packed(), GEGLU)])
def test_a_gated_layer_is_rewritten_and_stays_the_same_function(model: nn.Module, text: str) -> None:
    made = unchanged(nn.Sequential(model, nn.LayerNorm(6)), text, torch.randn(3, 4, 6), 1)
    assert isinstance(made[0].gate_0, Gate | PackedGate)
    assert not any(type(m) in (nn.SiLU, nn.ReLU) for m in made.modules())


def test_the_input_of_the_activation_is_x_and_the_other_factor_g() -> None:
    model, h = nn.Sequential(Llama()), torch.randn(2, 6)
    replace_gates(model, "x - 2*g")
    layer = model[0]
    torch.testing.assert_close(model(h), layer.down_proj(layer.gate_proj(h) - 2 * layer.up_proj(h)))


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("SwiGLU", {}, SWIGLU),
        ("GluMlp", {"act_layer": nn.SiLU, "gate_last": False}, SWIGLU),
        ("GluMlp", {"act_layer": nn.GELU}, GEGLU),
        ("SwiGLUPacked", {}, SWIGLU),
    ],
)
def test_layers_of_timm(name: str, options: dict[str, object], text: str) -> None:
    layers = pytest.importorskip("timm.layers")
    layer = getattr(layers, name)(in_features=6, hidden_features=16, **options)
    unchanged(nn.Sequential(layer), text, torch.randn(2, 5, 6), 1)


class Halves(nn.Module):
    """One projection for both, cut in each of the ways that people write; `x` is the part `last` or the other one."""

    def __init__(self, cut: str, last: bool) -> None:
        super().__init__()
        self.up, self.down, self.cut, self.last = nn.Linear(6, 16), nn.Linear(8, 6), cut, last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h, n = self.up(x), 8
        first, second = {
            "chunk": lambda: h.chunk(2, dim=-1),
            "torch.chunk": lambda: torch.chunk(h, chunks=2, dim=-1),
            "tensor_split": lambda: h.tensor_split(2, -1),
            "split": lambda: torch.split(h, n, -1),
            "split in sizes": lambda: h.split([n, n], dim=-1),
            "slices": lambda: (h[..., :n], h[..., n:]),
            "slices to the end": lambda: (h[..., 0:n], h[..., n : 2 * n]),
            "interleaved": lambda: (h[..., ::2], h[..., 1::2]),
            "first dimension": lambda: h.chunk(2, 1),
            "uneven": lambda: (h[..., :n], h[..., n - 1 : -1]),
            "twice the same": lambda: (h.chunk(2, -1)[0], h.chunk(2, -1)[0]),
        }[self.cut]()
        return self.down(first * F.silu(second) if self.last else F.silu(first) * second)


CUTS = ["chunk", "torch.chunk", "tensor_split", "split", "slices", "interleaved"]


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("cut", [*CUTS, "split in sizes", "slices to the end"])
def test_the_halves_of_one_tensor_are_read_of_it(cut: str, last: bool) -> None:
    made = unchanged(nn.Sequential(Halves(cut, last)), SWIGLU, torch.randn(3, 6), 1)
    assert isinstance(made[0].gate_0, PackedGate)
    assert (made[0].gate_0.x_last, made[0].gate_0.interleaved) == (last, cut == "interleaved")
    h = torch.randn(2, 16, requires_grad=True)
    with profile() as log:
        made[0].gate_0(h).sum().backward()
    assert not {event.key for event in log.key_averages()} & {"aten::copy_", "aten::cat", "aten::clone"}
    x = torch.randn(2, 6)
    torch.testing.assert_close(pickle.loads(pickle.dumps(made))(x), made(x))
    torch.testing.assert_close(torch.fx.symbolic_trace(made)(x), made(x))


@pytest.mark.parametrize(
    ("cut", "why"), [("first dimension", "along dimension 1"), ("uneven", ""), ("twice the same", "")]
)
def test_what_is_not_the_last_dimension_in_halves_is_a_gate_of_two_tensors(cut: str, why: str) -> None:
    model = nn.Sequential(Halves(cut, False))
    report = replace_gates(model, SWIGLU)
    assert isinstance(model[0].gate_0, Gate)
    assert ("along dimension 1" in str(report)) == (cut == "first dimension")
    unchanged(nn.Sequential(Halves(cut, False)), SWIGLU, torch.randn(3, 6), 1)


def test_pytorchs_glu_is_replaced_where_it_is_asked_for() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.GLU(), nn.Linear(4, 6))
    unchanged(model, "sigmoid(x)*g", torch.randn(3, 6), 1, of=(nn.GLU,))
    assert isinstance(model[1], PackedGate)
    report = replace_gates(nn.Sequential(nn.GLU(1)), "sigmoid(x)*g", of=(nn.GLU,))
    assert "along dimension 1" in str(report)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("make", "text", "options"),
    [
        (lambda: nn.Sequential(nn.Linear(6, 8), nn.GLU()), "sigmoid(x)*g", {"of": (nn.GLU,)}),
        (Packed, GEGLU, {}),
        (Llama, SWIGLU, {}),
    ],
)
def test_what_is_put_in_is_in_the_mode_of_the_model(make, text, options, training) -> None:
    model = make().train(training)
    assert len(replace_gates(model, text, **options)) == 1
    assert {module.training for module in model.modules()} == {training}


def test_a_packed_layer_of_transformers_made_from_a_config() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.Phi3Config(
        hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
        vocab_size=31, max_position_embeddings=32, pad_token_id=0,
    )  # fmt: skip
    model = transformers.Phi3ForCausalLM(config).eval()
    unchanged(model, SWIGLU, torch.randint(1, 31, (2, 7)), 2)
    assert isinstance(model.model.layers[1].mlp.gate_0, PackedGate)


def test_a_sigmoid_that_gates_is_named_and_replaced_where_it_is_asked_for() -> None:
    timm = pytest.importorskip("timm.layers")
    model = nn.Sequential(timm.GluMlp(in_features=6, hidden_features=16))
    report = replace_gates(model, SWIGLU)
    assert not report.replaced
    assert "Sigmoid gates here; name its class in of=" in str(report)
    unchanged(model, "sigmoid(x)*g", torch.randn(2, 6), 1, of=(nn.Sigmoid,))


def test_a_model_of_transformers_made_from_a_config() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
        vocab_size=31, max_position_embeddings=32,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config).eval()
    unchanged(model, SWIGLU, torch.randint(0, 31, (2, 7)), 2)
    assert isinstance(model.model.layers[1].mlp.gate_0, Gate)


def test_torchvisions_squeeze_and_excitation_is_reported() -> None:
    model = torchvision.ops.SqueezeExcitation(8, 4)
    report = replace_gates(model, SWIGLU)
    assert not report.replaced
    assert "Sigmoid" in str(report)
    report = replace_gates(model, "sigmoid(x)*g", of=(nn.Sigmoid,))
    assert len(report) == 1
    assert model(torch.randn(2, 8, 3, 3)).shape == (2, 8, 3, 3)


def test_what_is_no_gate_is_left() -> None:
    class Others(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act, self.scale, self.lin = nn.SiLU(), nn.Parameter(torch.ones(6)), nn.Linear(6, 6)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            swish = torch.sigmoid(x) * x
            return swish + self.act(self.lin(x)) * self.scale + 2 * self.act(x)

    report = replace_gates(Others(), SWIGLU)
    assert not report.replaced
    assert not report.not_replaced
    assert "no module multiplies" in str(report)
    assert not replace_gates(torchvision.models.resnet18(), SWIGLU).not_replaced


@pytest.mark.parametrize("case", ["both", "used", "glu", "branches"])
def test_what_cannot_be_replaced_is_named_with_the_reason(case: str) -> None:
    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.act = nn.Linear(6, 6), nn.Linear(6, 6), nn.SiLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if case == "branches" and x.sum() > 0:
                return self.act(self.a(x)) * self.b(x)
            active = self.act(self.a(x))
            if case == "both":
                return active * torch.tanh(self.b(x))
            return active * self.b(x) + active

    model = nn.Sequential(Layer()) if case != "glu" else nn.Sequential(nn.GLU())
    report = replace_gates(model, SWIGLU)
    assert not report.replaced
    reason = {
        "both": "both factors",
        "used": "used elsewhere",
        "glu": "name nn.GLU in of=",
        "branches": "torch.fx cannot trace",
    }
    assert reason[case] in str(report)


def test_the_rewritten_model_is_copied_pickled_saved_and_keeps_its_state() -> None:
    model, x = nn.Sequential(Llama(), Packed()), torch.randn(2, 6)
    before = dict(model.state_dict())
    replace_gates(model, "x*sigmoid(x)*g")
    assert model.state_dict().keys() == before.keys()
    wanted = model(x)
    torch.testing.assert_close(copy.deepcopy(model)(x), wanted)
    torch.testing.assert_close(pickle.loads(pickle.dumps(model))(x), wanted)
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)


def test_every_site_has_parameters_of_its_own_in_the_dtype_that_is_there() -> None:
    grammar = symact.parse_grammar(
        'inputs = ["x", "g"]\n[parameters]\nbeta = { init = 1.0 }\n[unary]\nf = "x*sigmoid(beta*x)"\n'
        '[binary]\nm = "a*b"'
    )
    model = nn.Sequential(Llama(), Llama()).double().eval()
    replace_gates(model, "m(f(x),g)", grammar=grammar)
    gates = [m for m in model.modules() if isinstance(m, Gate)]
    assert len({id(gate.beta) for gate in gates}) == 2
    assert all(gate.beta.dtype == torch.float64 and not gate.training for gate in gates)


NO_GATES = [Gate(SWIGLU), lambda: 3, "x*sigmoid(x)", "max(x, 0)"]


@pytest.mark.parametrize(("model", "expr"), [(Llama, SWIGLU), *[(Llama(), expr) for expr in NO_GATES]])
def test_what_is_no_model_or_no_gate_is_refused(model: object, expr: object) -> None:
    with pytest.raises(InputError):
        replace_gates(model, expr)
