"""What holds of ByteNet: its counts, its reach, its blocks against plain ones, its unfolding."""

import math

import pytest
import torch

from convatlas.errors import UsageError
from convatlas.models.translate.bytenet import ByteNet, ByteNetLM
from convatlas.models.translate.bytenet_block import ByteNetBlock, ByteNetStack, MultiplicativeUnit
from convatlas.ops.causal import causal_conv
from convatlas.text.symbols import FIRST_SYMBOL, PADDING

DILATIONS = (1, 2, 4, 8, 16)


def test_a_block_has_seven_squares_and_its_norms():
    for d, form, squares, biases in ((800, "relu", 7, 0), (512, "multiplicative", 16, 4)):
        with torch.device("meta"):
            block = ByteNetBlock(d, 3, dilation=1, causal=True, form=form)
        norms = 2 * (2 * d + d + (d if form == "relu" else 0))
        assert sum(p.numel() for p in block.parameters()) == squares * d**2 + biases * d + norms


def test_both_stacks_of_the_translator_have_their_counted_weights():
    with torch.device("meta"):
        model = ByteNet()
    for stack in (model.encoder, model.decoder):
        weights = [p for p in stack.parameters() if p.dim() == 3]
        assert sum(p.numel() for p in weights) == 30 * 7 * 800**2 == 134_400_000


@pytest.mark.parametrize("form", ["relu", "multiplicative"])
def test_thirty_blocks_reach_373_symbols(form):
    torch.manual_seed(0)
    stack = ByteNetStack(4, 3, sets=6, dilations=DILATIONS, causal=True, form=form).double()
    x = torch.randn(1, 4, 400, dtype=torch.float64, requires_grad=True)
    stack(x)[0, :, -1].sum().backward()
    assert x.grad is not None
    assert (x.grad[0].abs().amax(0) > 0).sum() == 373 == 1 + 6 * 2 * sum(DILATIONS)


def normed(norm, x):
    centred = x - x.mean(1, keepdim=True)
    scaled = centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()
    return (scaled * norm.weight[:, None] + norm.bias[:, None]).relu()


def test_a_block_is_the_formula_of_the_paper():
    torch.manual_seed(0)
    block = ByteNetBlock(3, 3, dilation=4, causal=True)
    x, y = torch.randn(2, 6, 11), None
    y = torch.einsum(
        "dc,nct->ndt", block.narrow.conv.conv.weight[..., 0], normed(block.narrow.norm, x)
    )
    y = causal_conv(normed(block.filter.norm, y), block.filter.conv.conv.weight, dilation=4)
    y = torch.einsum(
        "dc,nct->ndt", block.widen.conv.conv.weight[..., 0], normed(block.widen.norm, y)
    )
    torch.testing.assert_close(block(x), x + y, rtol=1e-4, atol=1e-5)


def test_a_multiplicative_unit_is_the_formula_of_its_paper():
    torch.manual_seed(0)
    unit = MultiplicativeUnit(2, 3, dilation=2, causal=True)
    torch.nn.init.normal_(unit.bias)
    h = torch.randn(1, 2, 7)
    parts = [
        causal_conv(h, unit.conv.conv.weight[i : i + 2], dilation=2) + unit.bias[i : i + 2]
        for i in (0, 2, 4, 6)
    ]
    g1, g2, g3 = (1 / (1 + (-part).exp()) for part in parts[:3])
    expected = g1 * torch.tanh(g2 * h + g3 * torch.tanh(parts[3]))
    torch.testing.assert_close(unit(h), expected)


@pytest.mark.parametrize("unfold", [1.0, 1.1, 1.2, 1.5])
def test_the_encoder_unfolds_to_a_length_of_its_own_for_each_sentence(unfold):
    model = ByteNet(
        source_symbols=9, target_symbols=9, hidden=4, sets=1, dilations=(1,), unfold=unfold
    ).eval()
    lengths = [10, 3, 7]
    source = torch.full((3, 10), PADDING)
    for row, length in enumerate(lengths):
        source[row, :length] = FIRST_SYMBOL
    (encoded,) = model.encode(source)
    tenths = round(10 * unfold)
    expected = [math.ceil(tenths * length / 10) for length in lengths]
    assert encoded.abs().amax(2).gt(0).sum(1).tolist() == expected
    assert encoded.shape[1] == expected[0] == model.target_length(10)
    last = encoded[0, -1]
    assert last.abs().max() > 0


def test_a_place_reads_the_encoder_there_and_the_target_alone_past_its_end():
    torch.manual_seed(0)
    model = ByteNet(source_symbols=9, target_symbols=9, hidden=4, sets=1, dilations=(1,)).eval()
    source = torch.randint(3, 9, (1, 10))
    target = torch.randint(3, 9, (1, 30))
    (encoded,) = model.encode(source)
    encoded = encoded.detach().requires_grad_()
    model.encode = lambda _: (encoded,)
    model(source, target)[0, 20].sum().backward()
    assert encoded.grad is not None
    assert encoded.grad.abs().max() == 0  # the decoder reaches 2 back, from 20
    model(source, target)[0, 5].sum().backward()
    assert encoded.grad[0].abs().amax(1).nonzero().flatten().tolist() == [3, 4, 5]


@pytest.mark.parametrize("form", ["relu", "multiplicative"])
def test_the_language_model_in_steps_equals_the_whole_and_does_not_look_ahead(form):
    torch.manual_seed(0)
    model = ByteNetLM(symbols=11, hidden=4, sets=1, dilations=(1, 2), form=form).eval()
    (text,) = model.example(2, tokens=9)
    whole, state = model(text), model.start(2)
    symbol = torch.full((2,), PADDING)
    for place in range(9):
        logits, state = model.step(symbol, state)
        torch.testing.assert_close(logits, whole[:, place], rtol=1e-5, atol=1e-5)
        symbol = text[:, place]
    other = text.clone()
    other[:, 5] = 3 + (text[:, 5] - 2) % 8
    moved = (model(other) - whole).abs().amax((0, 2))
    assert moved[:6].max() == 0
    assert moved[6] > 0


def test_options_without_a_form_are_refused():
    with pytest.raises(UsageError, match="ByteNet: unfold must be 1 or more, got 0"):
        ByteNet(unfold=0)
    with pytest.raises(UsageError, match="ByteNetBlock: form must be one of relu, multiplicative"):
        ByteNet(form="lstm", hidden=4)
    with pytest.raises(UsageError, match="ByteNetLM: symbols must be 4 or more"):
        ByteNetLM(symbols=3)
