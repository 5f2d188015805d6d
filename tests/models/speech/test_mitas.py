"""MiTAS: what is shared is one object, its gradient is the sum, and nothing else changes."""

import copy

import pytest
import torch

from convatlas.kernels import enabled, fast_layers
from convatlas.models import create_model
from convatlas.models.on_shapes import on_shapes

SMALL = {"encoder_filters": 12, "bottleneck": 6, "hidden": 10, "filter_length": 8}
SMALL |= {"blocks": 3, "repeats": 2}
BASES = ((256, 20, 256, 8, 4), (512, 16, 128, 8, 3))  # N, L, B, X, R; H is 512
SIZES = {  # for each base without skip path and with one, as the sheet has them
    "none": (8_710_720, 10_788_161, 3_445_808, 5_050_545),
    "dilations": (1_270_280, 1_473_289, 617_990, 819_591),
    "stacks": (2_333_200, 2_803_985, 1_291_280, 1_826_961),
    "hybrid": (2_318_856, 2_787_593, 1_273_350, 1_806_471),
}


def shapes(**options):
    with on_shapes():
        return create_model("conv_tasnet", **options)


def size(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("sharing", SIZES)
def test_sizes_are_those_of_the_formula(sharing):
    counted = []
    for n, length, b, x, r in BASES:
        for skip in (0, 128):
            options = dict(encoder_filters=n, filter_length=length, bottleneck=b, blocks=x)
            options |= dict(repeats=r, skip_channels=skip, bias=bool(skip))
            counted.append(size(shapes(sharing=sharing, **options)))
    assert tuple(counted) == SIZES[sharing]


def test_the_three_schemes_are_registered_and_the_factor_is_nearly_four():
    with on_shapes():
        whole = create_model("mitas", sharing="none")
        sizes = [
            size(create_model(f"mitas{s}")) for s in ("", "_across_dilations", "_across_stacks")
        ]
    assert sizes == [2_318_856, 1_270_280, 2_333_200]
    assert size(whole) / sizes[0] == pytest.approx(3.76, abs=0.005)  # published: about four
    share = size(whole.blocks) / size(whole)
    assert share == pytest.approx(0.976, abs=0.0005)  # published: almost 98 %


@pytest.mark.parametrize("sharing", ["dilations", "stacks", "hybrid"])
@pytest.mark.parametrize("share_norms", [True, False])
def test_answers_and_gradients_are_those_of_an_unshared_network_with_copies(sharing, share_norms):
    torch.manual_seed(0)
    options = dict(skip_channels=7, **SMALL)
    shared = create_model("conv_tasnet", sharing=sharing, share_norms=share_norms, **options)
    apart = create_model("conv_tasnet", **options)
    owners = {}  # path in the unshared network: path in the shared one
    for place in range(6):
        for part, numbers in (
            ("filters", shared.blocks.filter_of),
            ("norms", shared.blocks.norms_of),
            ("mixes", shared.blocks.mix_of),
        ):
            owners[f"blocks.{part}.{place}."] = f"blocks.{part}.{numbers[place]}."
    source = {}
    for name, _ in apart.named_parameters():
        prefix = next((p for p in owners if name.startswith(p)), "")
        source[name] = owners.get(prefix, "") + name.removeprefix(prefix)
    weights = dict(shared.named_parameters())
    apart.load_state_dict({name: weights[path].detach() for name, path in source.items()})
    x = torch.randn(2, 100)
    voices = shared(x)
    torch.testing.assert_close(voices, apart(x))
    aim = torch.randn_like(voices)
    (voices * aim).sum().backward()
    (apart(x) * aim).sum().backward()
    sums = {path: torch.zeros_like(weight) for path, weight in weights.items()}
    for name, parameter in apart.named_parameters():
        if parameter.grad is not None:  # nothing reads the last residual
            sums[source[name]] += parameter.grad
    for path, weight in weights.items():
        torch.testing.assert_close(weight.grad, sums[path], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("causal", [False, True])
def test_the_kernels_filter_at_each_dilation_of_a_shared_layer(causal):
    torch.manual_seed(0)
    norm = "cumulative" if causal else "global"
    options = dict(sharing="hybrid", norm=norm, causal=causal, skip_channels=7, **SMALL)
    plain = create_model("conv_tasnet", **options)
    fast = fast_layers(copy.deepcopy(plain))
    x = torch.randn(2, 100)
    for model in (plain, fast):
        model(x).square().sum().backward()
    torch.testing.assert_close(fast(x), plain(x))
    for a, b in zip(fast.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-5)
    with enabled(False):
        torch.testing.assert_close(fast(x), plain(x), rtol=0, atol=0)


def test_which_blocks_share():
    blocks = shapes(sharing="hybrid", **SMALL).blocks
    assert blocks.filter_of == blocks.norms_of == [0, 0, 0, 1, 1, 1]
    assert blocks.mix_of == [0, 1, 2, 0, 1, 2]
    own = shapes(sharing="hybrid", share_norms=False, **SMALL).blocks
    assert own.norms_of == [0, 1, 2, 3, 4, 5]
    with pytest.raises(ValueError, match="sharing must be one of none, dilations, stacks, hybrid"):
        create_model("mitas", sharing="all")
