"""Wrapped, scripted, quantised and value-dependent models: counted as the network inside, or one
sentence why not."""

import sys
import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from convatlas.cost import count
from convatlas.errors import CountError, UsageError

SHAPE = (1, 3, 8, 8)


class Holder(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)


def network():
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 5))
    return nn.Sequential(*layers).eval()


def quietly(function, *args):
    """TorchScript and eager quantisation are deprecated, and still in use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args)


def compiled_in_place():
    model = network()
    model.compile()
    return model


def exported():
    return torch.export.export(network(), (torch.rand(SHAPE),)).module()


WRAPPED = {
    "DataParallel": lambda: nn.DataParallel(network()),
    "DataParallel inside": lambda: Holder(nn.DataParallel(network())),
    "compiled": lambda: torch.compile(network()),
    "compiled inside": lambda: Holder(torch.compile(network())),
    "compiled in place": compiled_in_place,
    "scripted": lambda: torch.jit.script(network()),
    "scripted inside": lambda: Holder(torch.jit.script(network())),
    "traced": lambda: torch.jit.trace(network(), torch.rand(SHAPE)),
    "traced by fx": lambda: torch.fx.symbolic_trace(network()),
    "exported": exported,
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_wrapped_networks_cost_what_is_inside(kind, assert_unchanged):
    plain = count(network(), SHAPE)
    model = quietly(WRAPPED[kind])
    costs = []
    assert_unchanged(model, lambda model: costs.append(quietly(count, model, SHAPE)))
    assert (costs[0].macs, costs[0].params, costs[0].uncounted) == (plain.macs, plain.params, {})
    assert costs[0].warnings == ()


def test_what_a_script_keeps_stays_as_it_was():
    class Adding(nn.Module):
        def __init__(self):
            super().__init__()
            self.steps, self.total = 0, torch.zeros(4)
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            self.steps += 1
            self.total = self.total + x[0]
            return self.layer(x) + self.total

    model = quietly(torch.jit.script, Adding())
    assert quietly(count, model, (2, 4)).macs == 32
    assert (model.steps, model.total.tolist()) == (0, [0.0] * 4)
    assert model(torch.ones(2, 4)).device.type == "cpu"


def test_a_frozen_script_says_that_its_weights_are_not_to_be_seen():
    cost = quietly(lambda: count(torch.jit.freeze(torch.jit.script(network())), SHAPE))
    assert (cost.macs, cost.params) == (count(network(), SHAPE).macs, 0)
    assert any("weights are constants" in warning for warning in cost.warnings)


def quantised_dynamically():
    return torch.ao.quantization.quantize_dynamic(network(), {nn.Linear})


@pytest.mark.parametrize("script", [False, True])
def test_a_quantised_network_is_refused_in_one_sentence(script):
    def build():
        model = quantised_dynamically()
        return torch.jit.script(model) if script else model

    with pytest.raises(CountError, match=r"quantised.*; count the network that it was made from$"):
        quietly(lambda: count(build(), SHAPE))


def test_a_network_that_waits_for_its_first_input_is_refused_in_one_sentence():
    model = quietly(nn.LazyLinear, 4)
    with pytest.raises(CountError, match="call the model once before counting"):
        count(model, (2, 3))


@pytest.mark.parametrize(("what", "hint"), [("resnet18", "create_model"), (torch.relu, "macs")])
def test_what_is_no_module_is_refused_with_a_hint(what, hint):
    with pytest.raises(UsageError, match=hint):
        count(what, (2, 3))


def packed(lengths=(6, 4, 2)):
    return pack_padded_sequence(torch.rand(3, 6, 4), torch.tensor(lengths), batch_first=True)


def test_packed_sequences_cost_their_own_steps():
    layer = nn.LSTM(4, 5)
    cost = count(layer, packed())
    assert isinstance(packed(), PackedSequence)
    assert cost.macs == (6 + 4 + 2) * 4 * 5 * (4 + 5)
    assert cost == count(layer, (packed(),))


class Packing(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.LSTM(4, 5, batch_first=True)

    def forward(self, x, lengths):
        out, _ = self.layer(pack_padded_sequence(x, lengths, batch_first=True))
        return pad_packed_sequence(out, batch_first=True)[0]


def test_a_model_that_packs_for_itself_is_counted_with_the_lengths_it_was_given():
    cost = count(Packing(), (torch.rand(3, 6, 4), torch.tensor([6, 4, 2])))
    assert (cost.macs, cost.uncounted) == (12 * 4 * 5 * 9, {})


class Deciding(nn.Module):
    """Runs its layer again for as long as its values say so, and counts how often."""

    def __init__(self):
        super().__init__()
        self.layer, self.runs, self.seen = nn.Linear(4, 4), 0, torch.zeros(4)
        nn.init.ones_(self.layer.weight)

    def forward(self, x):
        while x.sum() < 1000:
            x, self.runs = self.layer(x) + 1, self.runs + 1
            self.seen += x[0]
        return x


def test_a_model_that_decides_by_values_is_counted_with_real_numbers_and_says_so(assert_unchanged):
    model, x = Deciding(), torch.ones(1, 4)
    costs = []
    assert_unchanged(model, lambda model: costs.append(count(model, x)))
    with torch.no_grad():
        model(x)
    assert costs[0].macs == model.runs * 16 > 16
    assert len(costs[0].warnings) == 1
    assert "decides by values" in costs[0].warnings[0]


def test_what_decides_by_values_and_has_none_is_refused_in_one_sentence():
    with pytest.raises(CountError, match="give it real weights, not those of 'meta'"):
        count(Deciding().to("meta"), (1, 4))


def test_what_decides_by_values_and_is_too_large_to_run_is_refused(monkeypatch):
    monkeypatch.setattr(sys.modules[count.__module__], "MAX_REAL_BYTES", 10)
    with pytest.raises(CountError, match="too large to be run; count a smaller form"):
        count(Deciding(), (1, 4))
