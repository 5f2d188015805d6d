"""Conv-TasNet: its counts, what each output sees, and equality with an independent build."""

from importlib import import_module

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from convatlas.deploy.lean_exporter import lean_exporter
from convatlas.models import create_model
from convatlas.models.on_shapes import on_shapes

SMALL = {
    "encoder_filters": 12,
    "bottleneck": 6,
    "hidden": 10,
    "skip_channels": 7,
    "filter_length": 8,
}
SMALL |= {"blocks": 3, "repeats": 2}


def size(name="conv_tasnet", **options):
    with on_shapes():
        return sum(p.numel() for p in create_model(name, **options).parameters())


# Table II: the four channel counts, length, blocks and repeats; our count, with biases.
@pytest.mark.parametrize(
    ("n", "length", "b", "h", "skip", "x", "r", "counted"),
    [
        (128, 40, 128, 256, 128, 7, 2, 1_472_157),
        (256, 40, 128, 256, 128, 7, 2, 1_532_061),
        (512, 40, 128, 256, 128, 7, 2, 1_651_869),
        (512, 40, 128, 256, 256, 7, 2, 2_243_485),
        (512, 40, 128, 512, 128, 7, 2, 3_060_381),
        (512, 40, 128, 512, 512, 7, 2, 6_211_485),
        (512, 40, 256, 256, 256, 7, 2, 3_228_445),
        (512, 40, 256, 512, 256, 7, 2, 6_013_213),
        (512, 40, 256, 512, 512, 7, 2, 8_113_949),
        (512, 40, 128, 512, 128, 6, 4, 5_075_121),
        (512, 40, 128, 512, 128, 4, 6, 5_075_121),
        (512, 40, 128, 512, 128, 8, 3, 5_075_121),
        (512, 32, 128, 512, 128, 8, 3, 5_066_929),
        (512, 16, 128, 512, 128, 8, 3, 5_050_545),
    ],
)
def test_parameters_of_each_row_of_table_2(n, length, b, h, skip, x, r, counted):
    options = dict(encoder_filters=n, filter_length=length, bottleneck=b, hidden=h)
    options |= dict(skip_channels=skip, blocks=x, repeats=r)
    assert size(**options) == counted
    assert size(**options, last_residual=False) == counted - h * b - b


@pytest.mark.parametrize(
    ("length", "x", "r", "seconds"),  # table II prints 1.28 for the first and 0.46 for the third
    [(40, 7, 2, 1.27), (40, 6, 4, 1.26), (40, 4, 6, 0.45), (40, 8, 3, 3.83), (16, 8, 3, 1.53)],
)
def test_a_causal_output_sees_as_far_back_as_the_field_says(length, x, r, seconds):
    options = SMALL | {"filter_length": length, "blocks": x, "repeats": r}
    model = create_model("conv_tasnet", norm="batch", causal=True, **options).eval()
    frames = 1 + r * 2 * (2**x - 1)
    assert round(frames * length / 2 / 8000, 2) == seconds
    hop = length // 2
    weights = torch.zeros(1, 6, frames + 3, requires_grad=True)
    y = model.blocks(weights)
    y[0, :, -1].sum().backward()
    reached = weights.grad.abs().sum((0, 1)).nonzero()
    assert (frames + 3 - reached.min(), hop * 2) == (frames, length)


@pytest.mark.parametrize("norm", ["cumulative", "batch"])
def test_a_later_sample_does_not_change_an_earlier_window(norm):
    torch.manual_seed(0)
    model = create_model("conv_tasnet", norm=norm, causal=True, **SMALL).eval()
    (x,) = model.example(samples=200)
    changed = x.clone()
    changed[:, 120] += 1
    same = (model(x) == model(changed)).all(1)[0]
    # The windows that hold sample 120 begin at 116 and 120.
    assert same[:116].all()
    assert not same[116:124].any()
    looking = create_model("conv_tasnet", **SMALL).eval()
    assert not (looking(x) == looking(changed)).all(1)[0, :116].any()


def plain(model, x, *, causal=False):
    """Written down again from the paper: one frame at a time, two speakers, skip paths, gLN."""
    length, hop = model.basis.length, model.basis.hop
    x = F.pad(x, (0, (length - x.shape[1]) % hop))
    windows = x.unfold(1, length, hop)  # n, k, length
    weights = windows @ model.basis.encoder.weight[:, 0].T  # n, k, filters

    def norm(layer, y):
        mean = y.mean((1, 2), keepdim=True)
        deviation = ((y - mean) ** 2).mean((1, 2), keepdim=True) + 1e-8
        return (y - mean) / deviation.sqrt() * layer.weight + layer.bias

    def mix(layer, y):
        return y @ layer.weight[:, :, 0].T + layer.bias

    y = mix(model.bottleneck, norm(model.norm, weights))
    total = 0
    for place, mixer in enumerate(model.blocks.mixes):
        norms, conv = model.blocks.norms[place], model.blocks.filters[place].conv
        dilation = 2 ** (place % 3)
        inner = mix(mixer.widen, y)
        inner = norm(norms.before[1], torch.where(inner > 0, inner, norms.before[0].weight * inner))
        frames = F.pad(inner, (0, 0, dilation, dilation))
        inner = sum(
            frames[:, k * dilation : k * dilation + inner.shape[1]] * conv.weight[:, 0, k]
            for k in range(3)
        )
        inner = inner + conv.bias
        inner = norm(norms.behind[1], torch.where(inner > 0, inner, norms.behind[0].weight * inner))
        total = total + mix(mixer.skip, inner)
        y = y + mix(mixer.residual, inner)
    total = torch.where(total > 0, total, model.act.weight * total)
    scores = mix(model.masks, total)
    voices = []
    for part in scores.chunk(2, dim=2):
        signals = (part.sigmoid() * weights) @ model.basis.decoder.weight[:, 0]
        out = torch.zeros_like(x)
        for k in range(signals.shape[1]):
            out[:, k * hop : k * hop + length] += signals[:, k]
        voices.append(out)
    return torch.stack(voices, 1)


def randomised(model):
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.4)
    return model.eval()


@pytest.mark.parametrize("samples", [160, 163, 8])
def test_answers_equal_a_plain_form_written_from_the_paper(samples):
    model = randomised(create_model("conv_tasnet", **SMALL))
    (x,) = model.example(batch=2, samples=samples)
    with torch.no_grad():
        torch.testing.assert_close(model(x), plain(model, x)[:, :, :samples], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "theirs"),
    [
        ({}, {"norm_type": "gLN", "mask_act": "sigmoid"}),
        ({"mask": "softmax", "speakers": 3}, {"norm_type": "gLN", "mask_act": "softmax"}),
        ({"norm": "cumulative", "causal": True}, {"norm_type": "cgLN", "mask_act": "sigmoid"}),
        ({"norm": "batch", "mask": "relu"}, {"norm_type": "bN", "mask_act": "relu"}),
    ],
)
def test_masks_equal_those_of_asteroid(options, theirs):
    try:
        peer_module = import_module("asteroid.masknn.convolutional")
    except ImportError:
        pytest.skip("needs asteroid")
    ours = randomised(create_model("conv_tasnet", **SMALL, **options))
    speakers, causal = options.get("speakers", 2), options.get("causal", False)
    peer = peer_module.TDConvNet(
        12, speakers, n_blocks=3, n_repeats=2, bn_chan=6, hid_chan=10, skip_chan=7,
        causal=causal, **theirs,
    ).eval()  # fmt: skip
    paths = {"norm": "bottleneck.0", "bottleneck": "bottleneck.1", "act": "mask_net.0"}
    paths["masks"] = "mask_net.1"
    for i in range(6):
        block = f"TCN.{i}.shared_block"
        depthwise = f"{block}.3.0" if causal else f"{block}.3"
        paths |= {
            f"blocks.mixes.{i}.widen": f"{block}.0",
            f"blocks.norms.{i}.before.0": f"{block}.1",
            f"blocks.norms.{i}.before.1": f"{block}.2",
            f"blocks.filters.{i}.conv": depthwise,
            f"blocks.norms.{i}.behind.0": f"{block}.4",
            f"blocks.norms.{i}.behind.1": f"{block}.5",
            f"blocks.mixes.{i}.residual": f"TCN.{i}.res_conv",
            f"blocks.mixes.{i}.skip": f"TCN.{i}.skip_conv",
        }
    state = {}
    for ours_path, theirs_path in paths.items():
        for name, tensor in ours.get_submodule(ours_path).state_dict().items():
            layer = peer.get_submodule(theirs_path)
            name = {"weight": "gamma", "bias": "beta"}[name] if hasattr(layer, "gamma") else name
            state[f"{theirs_path}.{name}"] = tensor
    peer.load_state_dict(state, strict=True)
    weights = torch.randn(2, 12, 30)
    with torch.no_grad():
        y = ours.blocks(ours.bottleneck(ours.norm(weights)))
        masks = ours.masked(weights, y) / weights.unsqueeze(1)
        torch.testing.assert_close(masks, peer(weights), rtol=1e-4, atol=1e-4)


def test_what_the_options_exclude_is_refused():
    with pytest.raises(ValueError, match="norm must be one of cumulative, batch, got global"):
        create_model("conv_tasnet", causal=True)
    with pytest.raises(ValueError, match="length must be an even number, got 15"):
        create_model("conv_tasnet", filter_length=15)
    with pytest.raises(ValueError, match="kernel must be odd where causal=False, got 4"):
        create_model("conv_tasnet", kernel=4)
    model = create_model("conv_tasnet_causal", **SMALL)
    with pytest.raises(
        ValueError, match=r"waveforms \(n, t\) with t from 8 samples up, got \(1, 7\)"
    ):
        model(torch.zeros(1, 7))


def test_silence_has_no_voices_and_no_nan():
    model = create_model("conv_tasnet", **SMALL).eval()
    assert torch.equal(model(torch.zeros(1, 100)), torch.zeros(1, 2, 100))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_one_exported_file_takes_recordings_of_any_length(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    options = SMALL | {"blocks": 2, "repeats": 1}
    model = create_model("conv_tasnet_causal", **options).eval()
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    program = torch.export.export(model, model.example(2, 203), dynamic_shapes=(free,))
    path = tmp_path / "model.onnx"
    with lean_exporter():
        torch.onnx.export(program, dynamo=True, verbose=False).save(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch, samples in ((3, 203), (1, 517), (2, 8)):
        (x,) = model.example(batch, samples)
        (got,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        with torch.no_grad():
            torch.testing.assert_close(torch.from_numpy(got), model(x), rtol=1e-4, atol=1e-5)
