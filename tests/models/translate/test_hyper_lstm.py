"""HyperLSTM: its published sizes, its equations written out, and reading step by step."""

import pytest
import torch

from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.on_shapes import on_shapes
from convatlas.models.translate.hyper_lstm import HyperLSTM

COUNTS = {
    "lstm": 4_254_050,
    "hyper_lstm": 4_911_874,
    "hyper_lstm_norm": 4_923_154,
    "hyper_lstm_norm_large": 5_085_682,
    "lstm_enwik8": 14_812_405,
    "hyper_lstm_enwik8": 18_708_213,
}
FORMS = [{"small": 0}, {"small": 0, "norm": True}, {}, {"norm": True}]
FORMS += [{"cell": "rnn"}, {"cell": "rnn", "norm": True}]


def drawn(**options):
    """A small network none of whose weights is zero or one."""
    torch.manual_seed(0)
    model = HyperLSTM(**{"symbols": 9, "hidden": 5, "small": 3, "embedding": 2} | options)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    return model.double().eval()


@pytest.mark.parametrize("name", COUNTS)
def test_sizes_are_exact(name):
    with on_shapes():
        assert sum(p.numel() for p in create_model(name).parameters()) == COUNTS[name]


def test_an_lstm_of_1250_has_its_published_size():
    with on_shapes():
        model = create_model("lstm", hidden=1250)
        assert sum(p.numel() for p in model.parameters()) == 6_567_550


@pytest.mark.parametrize("options", FORMS)
def test_steps_give_what_the_whole_text_gives(options):
    model = drawn(**options)
    (text,) = model.example(batch=3, tokens=6)
    whole, state, last = model(text), model.start(3), torch.zeros(3, dtype=torch.int64)
    state = tuple(each.double() for each in state)
    for place in range(6):
        logits, state = model.step(last, state)
        torch.testing.assert_close(logits, whole[:, place])
        last = text[:, place]


def test_an_ordinary_one_is_the_lstm_of_torch_with_a_forget_gate_that_begins_open():
    model, n, length = drawn(small=0), 5, 7
    weights = model.weights
    peer = torch.nn.LSTM(9, n, batch_first=True).double()
    order = [0, 2, 1, 3]  # i, j, f, o here; torch has i, f, g, o

    def turned(matrix):
        return torch.cat([matrix.chunk(4, -1)[k] for k in order], -1).T

    bias = turned(weights["bias"][None])[:, 0] + torch.tensor([0, 1, 0, 0]).repeat_interleave(n)
    state = {"weight_ih_l0": turned(weights["input"]), "bias_ih_l0": bias}
    state |= {"weight_hh_l0": turned(weights["recurrent"]), "bias_hh_l0": torch.zeros(4 * n)}
    peer.load_state_dict(state)
    (text,) = model.example(batch=2, tokens=length)
    shifted = torch.cat([torch.zeros(2, 1, dtype=torch.int64), text[:, :-1]], 1)
    hidden, _ = peer(torch.nn.functional.one_hot(shifted, 9).double())
    torch.testing.assert_close(model(text), model.scores(hidden))


def normed(x, gain, offset):
    return (x - x.mean()) / (x.var(unbiased=False) + 1e-3).sqrt() * gain + offset


def lstm(sums, c, w, prefix):
    i, j, f, o = (normed(sums[k], w[f"{prefix}gain"][k], w[f"{prefix}offset"][k]) for k in range(4))
    c = c * torch.sigmoid(f + 1) + torch.sigmoid(i) * torch.tanh(j)
    shown = normed(c, w[f"{prefix}cell_gain"], w[f"{prefix}cell_offset"])
    return torch.tanh(shown) * torch.sigmoid(o), c


def test_one_step_is_the_equations_one_gate_at_a_time():
    model, n, m, z = drawn(norm=True), 5, 3, 2
    w, x = model.weights, 4
    h, c, small_h, small_c = (torch.randn(k, dtype=torch.float64) for k in (n, n, m, m))
    sums = w["small_input"][x] + h @ w["small_main"] + small_h @ w["small_recurrent"]
    small_h2, small_c2 = lstm((sums + w["small_bias"]).reshape(4, m), small_c, w, "small_")
    gates = []
    for k in range(4):
        own = slice(k * n, (k + 1) * n)
        factors = []
        for part in (k, 4 + k):
            columns = slice(part * z, (part + 1) * z)
            vector = small_h2 @ w["mix"][:, columns] + w["mix_bias"][columns]
            factors.append(vector @ w["scale"][part])
        bias = (small_h2 @ w["bias_mix"][:, k * z : (k + 1) * z]) @ w["bias_scale"][k]
        of_input, of_hidden = w["input"][x, own], h @ w["recurrent"][:, own]
        gates.append(factors[0] * of_input + factors[1] * of_hidden + w["bias"][own] + bias)
    h2, c2 = lstm(torch.stack(gates), c, w, "")
    state = tuple(each[None] for each in (h, c, small_h, small_c))
    logits, after = model.step(torch.tensor([x]), state)
    for got, expected in zip(after, (h2, c2, small_h2, small_c2), strict=True):
        torch.testing.assert_close(got[0], expected)
    torch.testing.assert_close(logits[0], model.scores(h2))


def test_an_rnn_is_scaled_by_the_state_before_the_symbol():
    model, z = drawn(cell="rnn"), 2
    w, x = model.weights, 4
    h, small = torch.randn(5, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    factors = [
        (small @ w["mix"][:, k * z : (k + 1) * z] + w["mix_bias"][k * z : (k + 1) * z])
        @ w["scale"][k]
        for k in range(2)
    ]
    bias = w["bias"] + small @ w["bias_mix"] @ w["bias_scale"][0]
    expected = torch.tanh(factors[0] * w["input"][x] + factors[1] * (h @ w["recurrent"]) + bias)
    _, (got, _) = model.step(torch.tensor([x]), (h[None], small[None]))
    torch.testing.assert_close(got[0], expected)


def test_at_first_every_weight_is_scaled_by_a_tenth_whatever_is_read():
    torch.manual_seed(0)
    model = HyperLSTM(symbols=9, hidden=5, small=3).eval()
    plain = HyperLSTM(symbols=9, hidden=5, small=0).eval()
    own = {k: v for k, v in model.state_dict().items() if k in plain.state_dict()}
    plain.load_state_dict(own)
    with torch.no_grad():
        for name in ("input", "recurrent"):
            plain.weights[name].mul_(0.1)
    (text,) = model.example(batch=2, tokens=6)
    torch.testing.assert_close(model(text), plain(text))


def test_options_without_a_form_are_refused():
    with pytest.raises(UsageError, match="cell must be one of lstm, rnn, got gru"):
        HyperLSTM(cell="gru")
    with pytest.raises(UsageError, match="small 0 or more, got 5, 4 and -1"):
        HyperLSTM(hidden=5, small=-1)
