"""A function of one's own in models of Transformers that are made from configs."""

from __future__ import annotations

import pytest
import torch

import symact
from symact.errors import InputError

transformers = pytest.importorskip("transformers")


@pytest.fixture
def mine():
    from transformers.activations import ACT2FN

    symact.register("mine", "x*sigmoid(x)")
    yield "mine"
    del ACT2FN["mine"]


def test_a_small_bert_names_it_in_its_config(mine):
    sizes = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.BertConfig(**sizes, intermediate_size=64, hidden_act=mine)
    model = transformers.BertModel(config)
    found = [m for m in model.modules() if isinstance(m, symact.Activation)]
    assert len(found) == len({id(m) for m in found}) == 2
    out = model(torch.arange(12).reshape(2, 6)).last_hidden_state
    out.sum().backward()
    assert out.isfinite().all()
    torch.manual_seed(0)
    ours = transformers.BertModel(config)
    config.hidden_act = "silu"
    torch.manual_seed(0)
    theirs = transformers.BertModel(config)
    tokens = torch.arange(12).reshape(2, 6)
    assert torch.allclose(ours.eval()(tokens)[0], theirs.eval()(tokens)[0], atol=1e-5)


def test_a_small_llama_names_it_in_its_config(mine):
    sizes = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.LlamaConfig(**sizes, intermediate_size=64, hidden_act=mine)
    model = transformers.LlamaForCausalLM(config)
    assert sum(isinstance(m, symact.Activation) for m in model.modules()) == 2
    tokens = torch.arange(12).reshape(2, 6)
    loss = model(tokens, labels=tokens).loss
    loss.backward()
    assert loss.isfinite()


def test_parameters_are_each_layers_own():
    from transformers.activations import ACT2FN

    grammar = symact.load_grammar("ramachandran")
    symact.register("learned", "x*sigmoid(beta*x)", grammar)
    try:
        first, second = ACT2FN["learned"], ACT2FN["learned"]
        assert first is not second
        assert next(iter(first.parameters())) is not next(iter(second.parameters()))
    finally:
        del ACT2FN["learned"]


def test_a_name_in_use_is_not_taken_silently(mine):
    with pytest.raises(InputError, match="an activation 'gelu' already"):
        symact.register("gelu", "sin(x)")
    with pytest.raises(InputError, match="already"):
        symact.register(mine, "sin(x)")
    symact.register(mine, "sin(x)", replace=True)
    with pytest.raises(symact.InputError):
        symact.register("bad", "frob(x)")
