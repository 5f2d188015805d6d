"""What holds of SliceNet: its published sizes, its formulas, and each form against a plain one."""

import math

import pytest
import torch

from convatlas import cost
from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.translate.conv_step import ConvStep
from convatlas.models.translate.slicenet import ConvModule, SliceNet, TimedAttention
from convatlas.models.translate.timing import TimingSignal
from convatlas.ops import separable_conv, sub_separable_conv, super_separable_conv
from convatlas.ops.convolution import conv

CHANNELS, KERNEL, DILATION = 12, 3, 2


def size(name, **options):
    """Parameters without those of symbols."""
    with torch.device("meta"):
        model = create_model(name, **options)
    return sum(p.numel() for key, p in model.named_parameters() if "embedding" not in key)


def test_sizes_without_embeddings_are_the_published_ones():
    assert size("slicenet") == 264_933_376  # 265 M
    assert size("slicenet_super") == 222_388_224  # 222 M


def test_an_own_last_layer_has_as_many_weights_as_the_shared_vectors():
    own = size("slicenet_small", shared="none", target_symbols=100)
    assert own - size("slicenet_small", target_symbols=100) == 100 * 240
    assert size("slicenet_small", shared="all") == size("slicenet_small")


@pytest.mark.parametrize(
    ("separability", "groups", "macs"),
    [
        ("none", 1, KERNEL * CHANNELS**2),
        ("full", 1, KERNEL * CHANNELS + CHANNELS**2),
        ("sub", 4, KERNEL * CHANNELS**2 // 4 + CHANNELS**2),
        ("super", 3, KERNEL * CHANNELS + CHANNELS**2 // 3),
    ],
)
@pytest.mark.parametrize("causal", [False, True])
def test_a_step_is_relu_the_operator_and_a_norm(separability, groups, macs, causal):
    torch.manual_seed(0)
    step = ConvStep(
        CHANNELS,
        CHANNELS,
        KERNEL,
        dilation=DILATION,
        separability=separability,
        groups=groups,
        causal=causal,
    ).double()
    x = torch.randn(2, CHANNELS, 9, dtype=torch.float64)
    rule = {"padding": "causal" if causal else "same", "dilation": DILATION}
    first, y = step.filter.conv.weight, x.relu()
    if separability == "none":
        y = conv(y, first, **rule)
    elif separability == "sub":
        y = sub_separable_conv(y, first, step.mix.weight, **rule)
    elif separability == "super":
        y = super_separable_conv(y, first, step.mix.weight, groups=groups, **rule)
    else:
        y = separable_conv(y, first, step.mix.weight, **rule)
    deviation = y.std(1, keepdim=True, correction=0)
    expected = (y - y.mean(1, keepdim=True)) / (deviation**2 + 1e-5).sqrt()
    torch.testing.assert_close(step(x), expected, rtol=1e-4, atol=1e-5)
    assert cost.macs(step, x) == 2 * 9 * macs
    assert sum(p.numel() for p in step.parameters()) == macs + 2 * CHANNELS


@pytest.mark.parametrize("form", ["paper", "repository"])
@pytest.mark.parametrize("count", [4, 5])
def test_the_second_skip_of_a_module_is_that_of_its_form(form, count):
    torch.manual_seed(0)
    steps = torch.nn.ModuleList(ConvStep(4, 4, 3) for _ in range(count))
    x = torch.randn(1, 4, 6)
    second = x + steps[1](steps[0](x))
    last = second
    for step in steps[2:]:
        last = step(last)
    expected = last + (x if form == "paper" else second)
    torch.testing.assert_close(ConvModule(steps, form=form, dropout=0.0)(x), expected)


@pytest.mark.parametrize("scale_outside", [False, True])
def test_attention_is_a_mean_of_the_source_with_the_scale_where_it_is_asked_for(scale_outside):
    torch.manual_seed(0)
    steps = torch.nn.ModuleList(ConvStep(4, 4, 5, causal=True) for _ in range(2))
    read = TimedAttention(4, steps, norm=False, scale_outside=scale_outside)
    source, target, timing = torch.randn(2, 5, 4), torch.randn(2, 4, 6), torch.randn(2, 4, 6)
    present = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    query = steps[1](steps[0](target + timing))
    got = read(source, present, target, timing)
    inside, outside = (1.0, 0.5) if scale_outside else (0.5, 1.0)
    for item, length in ((0, 5), (1, 3)):
        for place in range(6):
            scores = source[item, :length] @ query[item, :, place] * inside
            expected = outside * scores.softmax(0) @ source[item, :length]
            torch.testing.assert_close(got[item, :, place], expected)


def test_the_timing_signal_is_the_papers_formula():
    depth, signal = 8, TimingSignal(8)(torch.tensor([[0, 3, 50]]))
    assert signal.shape == (1, depth, 3)
    for column, t in enumerate((0, 3, 50)):
        for d in range(depth // 2):
            angle = t / 10_000 ** (2 * d / depth)
            assert signal[0, 2 * d, column].item() == pytest.approx(math.sin(angle), abs=1e-5)
            assert signal[0, 2 * d + 1, column].item() == pytest.approx(math.cos(angle), abs=1e-5)


def test_the_repositorys_timing_signal_has_16_rates_from_1_to_a_ten_thousandth():
    signal = TimingSignal(40, "repository")(torch.tensor([[0, 7]]))
    rates = [10_000 ** (-i / 15) for i in range(16)]
    expected = [math.sin(7 * r) for r in rates] + [math.cos(7 * r) for r in rates] + [0.0] * 8
    torch.testing.assert_close(signal[0, :, 1], torch.tensor(expected), rtol=1e-4, atol=1e-5)
    assert signal[0, :, 0].tolist() == [0.0] * 16 + [1.0] * 16 + [0.0] * 8


def test_slices_meet_only_because_neighbours_have_other_ones():
    """Of one number of groups nothing crosses; of 3 and 2 in turn everything is reached."""
    for groups, crossed in (((3,), False), ((3, 2), True)):
        steps = [
            ConvStep(12, 12, 1, separability="super", groups=groups[i % len(groups)])
            for i in range(4)
        ]
        x = torch.rand(1, 12, 1, requires_grad=True)
        y = x
        for step in steps:
            y = step.mix(step.filter(y))
        y[0, 0, 0].backward()
        assert x.grad is not None
        assert bool((x.grad[0, 4:] != 0).all()) is crossed


def test_one_matrix_serves_source_target_and_last_layer():
    model = SliceNet(
        source_symbols=9,
        target_symbols=9,
        depth=12,
        kernels=(3, 3, 3),
        encoder_modules=1,
        decoder_modules=1,
        shared="all",
    ).eval()
    assert [key for key in model.state_dict() if "embedding" in key] == [
        "target_vectors.embedding.weight"
    ]
    source, target = model.example(2, tokens=5)
    assert model(source, target).shape == (2, 5, 9)
    model.target_vectors.embedding.weight.data.zero_()
    assert model(source, target).abs().max() == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"form": "book"}, "SliceNet: form must be one of paper, repository"),
        ({"shared": "all", "target_symbols": 9}, "shared='all' needs one vocabulary"),
        ({"kernels": (3, 3)}, "kernels and dilations must be 3 numbers or more"),
        ({"dilations": (1,)}, "many of both"),
        ({"separability": "half"}, "separability must be one of none, full, sub, super"),
        ({"timing": "clock"}, "TimingSignal: form must be one of interleaved, repository"),
    ],
)
def test_options_without_a_form_are_refused(options, says):
    with torch.device("meta"), pytest.raises(UsageError, match=says):
        SliceNet(**options)
    with pytest.raises(UsageError, match="10 and 10 channels do not divide into 3 groups"):
        ConvStep(10, 10, 3, separability="super", groups=3)
