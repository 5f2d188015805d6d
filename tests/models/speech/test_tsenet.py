"""TseNet: the counts of its formula, where the speaker enters, and that the speaker matters."""

import pytest
import torch

from convatlas.models import create_model
from convatlas.models.on_shapes import on_shapes
from convatlas.models.speech.speaker_encoder import SpeakerEncoder
from convatlas.models.speech.speaker_statistics import SpeakerStatistics, Standardised

SMALL = {"encoder_filters": 12, "channels": 6, "hidden": 10, "filter_length": 8, "blocks": 2}
SMALL |= {"repeats": 2, "speaker_features": 5, "speaker_channels": 4}


@pytest.mark.parametrize(("inject", "stacks_told"), [("every", 4), ("first", 1)])
def test_parameters_follow_the_formula(inject, stacks_told):
    u, length, n, o, p, d, b, r = 256, 20, 256, 512, 3, 256, 8, 4
    block = (n * o + o) + (o * p + o) + (o * n + n) + 4 * o + 2
    whole = 2 * u * length + 2 * u + (u * n + n) + (400 * d + d) + r * b * block
    whole += stacks_told * d * o + (n * u + u)
    with on_shapes():
        model = create_model("tsenet", inject=inject)
    assert sum(p.numel() for p in model.parameters()) == whole


def test_without_the_speaker_it_is_conv_tasnet_with_one_voice():
    """The first version's form; its mask has a ReLU and the norm of the input is per step."""
    torch.manual_seed(0)
    model = create_model("tsenet", **SMALL).eval()
    plain = create_model(
        "conv_tasnet", encoder_filters=12, bottleneck=6, hidden=10, filter_length=8, blocks=2,
        repeats=2, skip_channels=0, speakers=1, mask="relu", encoder_relu=True,
    ).eval()  # fmt: skip
    plain.norm = model.norm
    plain.basis.load_state_dict(model.basis.state_dict())
    plain.bottleneck.load_state_dict(model.bottleneck.state_dict())
    plain.masks.load_state_dict(model.mask[0].state_dict())
    state = {}
    for r, stack in enumerate(model.stacks):
        for name, tensor in stack.state_dict().items():
            part, number, rest = name.split(".", 2)
            state[f"{part}.{2 * r + int(number)}.{rest}"] = (
                tensor[:, :6] if "widen.w" in name else tensor
            )
    plain.blocks.load_state_dict(state)
    for layer in model.speaker[:1]:
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    x, speaker = model.example(batch=2, samples=101)
    with torch.no_grad():
        torch.testing.assert_close(model(x, speaker), plain(x)[:, 0])


@pytest.mark.parametrize("inject", ["every", "first"])
def test_another_speaker_gives_another_voice(inject):
    torch.manual_seed(0)
    model = create_model("tsenet", inject=inject, **SMALL).eval()
    x, speaker = model.example(batch=2, samples=101)
    with torch.no_grad():
        voices = model(x, speaker)
        assert voices.shape == x.shape
        assert (model(x, speaker.flip(0)) - voices).abs().amax(1).min() > 1e-6
    assert [stack.beside for stack in model.stacks] == [4, 4 if inject == "every" else 0]


def test_a_vector_of_another_length_is_refused():
    model = create_model("tsenet", **SMALL)
    with pytest.raises(ValueError, match=r"the speaker must be a vector \(n, 5\), got \(1, 4\)"):
        model(torch.zeros(1, 100), torch.zeros(1, 4))
    with pytest.raises(ValueError, match="inject must be one of every, first, got last"):
        create_model("tsenet", inject="last")


def clips(*hertz, seconds=0.6):
    time = torch.arange(round(8000 * seconds)) / 8000
    return torch.stack([sum(torch.sin(6.283 * k * h * time) / k for k in (1, 2, 3)) for h in hertz])


@pytest.mark.parametrize("enrolment", ["statistics", "trained"])
def test_a_clip_tells_the_speaker_whatever_its_loudness(enrolment):
    torch.manual_seed(0)
    model = create_model("tsenet", enrolment=enrolment, **SMALL).eval()
    x, clip = torch.rand(2, 301) - 0.5, clips(150, 400)
    with torch.no_grad():
        voices = model(x, clip)
        torch.testing.assert_close(model(x, 4 * clip), voices, rtol=1e-3, atol=1e-5)
        assert (model(x, clip.flip(0)) - voices).abs().amax(1).min() > 1e-6
        alone = torch.cat([model(x[i : i + 1], clip[i : i + 1]) for i in range(2)])
        torch.testing.assert_close(alone, voices)
        assert model(x, clips(150, 400, seconds=0.9)).shape == x.shape
    assert [e.shape for e in model.example(2, 300, 5000)] == [(2, 300), (2, 5000)]


@pytest.mark.parametrize("enrolment", ["statistics", "trained"])
def test_with_a_clip_it_is_built_on_shapes_alone_and_counted(enrolment):
    with on_shapes():
        model = create_model("tsenet", enrolment=enrolment, **SMALL)
        assert model(*model.example(2, 300, 5000)).shape == (2, 300)


def test_what_makes_the_vector_is_trained_or_has_no_weights():
    plain = create_model("tsenet", **{**SMALL, "speaker_features": 80})
    told = create_model("tsenet", enrolment="statistics", **SMALL)
    assert {n: p.shape for n, p in plain.named_parameters()} == {
        n: p.shape for n, p in told.named_parameters()
    }
    told.load_state_dict(plain.state_dict(), strict=False)
    x, clip = torch.rand(1, 301), clips(200)
    with torch.no_grad():
        expected = plain(x, SpeakerStatistics()(clip))
        torch.testing.assert_close(told.eval()(x, clip), expected)
    trained = create_model("tsenet", enrolment="trained", **SMALL)
    trained(x, clip).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in trained.describe.parameters())


def test_the_trained_vector_of_a_clip_is_that_of_its_frames_written_out():
    """The blocks by plain sums over frames and taps, without convolutions of torch."""
    torch.manual_seed(0)
    encoder = SpeakerEncoder(1000, channels=3, features=4).double().eval()
    x = torch.rand(1, encoder.min_samples, dtype=torch.float64) - 0.5
    with torch.no_grad():
        y = encoder.bands(x)[0]
        y = normal(encoder.first[0].weight[:, :, 0] @ y + encoder.first[0].bias[:, None])
        for block in encoder.blocks:
            weight, bias = block.found[0].weight, block.found[0].bias
            padded = torch.cat([0 * y[:, :1], y, 0 * y[:, :1]], dim=1)
            z = sum(weight[:, :, k] @ padded[:, k : k + y.shape[1]] for k in range(3))
            z = normal(z + bias[:, None])
            z = torch.where(z > 0, z, block.found[2].weight * z)
            z = normal(block.found[3].weight[:, :, 0] @ z + block.found[3].bias[:, None])
            y = torch.where(y + z > 0, y + z, block.act.weight * (y + z))
            y = torch.stack([y[:, 3 * k : 3 * k + 3].amax(1) for k in range(y.shape[1] // 3)], 1)
        statistics = SpeakerStatistics(1000).double()(x)[0]  # nothing was trained on: as they are
        deviations = (y - y.mean(1, keepdim=True)).square().mean(1).sqrt()
        pooled = torch.cat([y.mean(1), deviations, statistics])
        expected = encoder.last.weight @ pooled + encoder.last.bias
        torch.testing.assert_close(encoder(x)[0], expected)
        with pytest.raises(ValueError, match="SpeakerEncoder: input must be waveforms"):
            encoder(x[:, 1:])


def normal(y):
    return (y - y.mean()) / (y - y.mean()).square().mean().sqrt()


def test_statistics_are_measured_by_all_that_training_has_shown():
    torch.manual_seed(0)
    shown = 3 + 2 * torch.randn(60, 4)
    measure = Standardised(4)
    for batch in shown.split([7, 1, 30, 22]):
        measure(batch)
    expected = (shown - shown.mean(0)) / shown.std(0, correction=0)
    torch.testing.assert_close(measure.eval()(shown), expected, rtol=1e-4, atol=1e-4)
    measure(100 * shown)
    torch.testing.assert_close(measure(shown), expected, rtol=1e-4, atol=1e-4)
