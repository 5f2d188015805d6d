"""Pieces of any length give what the whole recording gives."""

import pytest
import torch

from convatlas.models import create_model
from convatlas.models.speech.streaming import CausalStream

SMALL = {"encoder_filters": 12, "bottleneck": 6, "hidden": 10, "skip_channels": 7}
SMALL |= {"filter_length": 8, "blocks": 3, "repeats": 2, "causal": True}


def streamed(model, x, pieces):
    stream = CausalStream(model)
    parts = [stream.push(piece) for piece in x.split(pieces, dim=1)]
    lags = [n - given for n, given in zip(*lengths(pieces, parts), strict=True)]
    assert all(0 <= lag <= model.basis.length for lag in lags)
    return torch.cat([*parts, stream.finish()], dim=2)


def lengths(pieces, parts):
    taken = torch.tensor(pieces).cumsum(0).tolist()
    given = torch.tensor([part.shape[2] for part in parts]).cumsum(0).tolist()
    return taken, given


@pytest.mark.parametrize("norm", ["cumulative", "batch"])
@pytest.mark.parametrize("options", [{}, {"skip_channels": 0}, {"sharing": "hybrid"}])
@pytest.mark.parametrize("pieces", [[300], [4] * 75, [1] * 20 + [97, 3, 180], [0, 7, 0, 293]])
def test_pieces_equal_the_whole(norm, options, pieces):
    torch.manual_seed(0)
    model = create_model("conv_tasnet", norm=norm, **SMALL | options).eval()
    x = torch.randn(2, 300)
    with torch.no_grad():
        torch.testing.assert_close(streamed(model, x, pieces), model(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("samples", [8, 9, 11, 12, 13])
def test_the_last_window_is_filled_and_the_end_kept(samples):
    torch.manual_seed(0)
    model = create_model("conv_tasnet", norm="cumulative", **SMALL).eval()
    x = torch.randn(1, samples)
    with torch.no_grad():
        got = streamed(model, x, [5, samples - 5])
        torch.testing.assert_close(got, model(x), rtol=1e-5, atol=1e-5)


def test_what_is_kept_does_not_grow():
    model = create_model("conv_tasnet", norm="cumulative", **SMALL).eval()
    stream = CausalStream(model)

    def kept():
        tensors = [stream.waiting, stream.half, *stream.blocks.past]
        return sum(t.numel() for t in tensors)

    stream.push(torch.randn(1, 400))
    before = kept()
    for _ in range(3):
        stream.push(torch.randn(1, 400))
    assert kept() == before


def test_a_network_that_looks_ahead_and_too_short_a_recording_are_refused():
    with pytest.raises(ValueError, match="must be causal and in evaluation mode"):
        CausalStream(create_model("conv_tasnet", **{**SMALL, "causal": False}).eval())
    stream = CausalStream(create_model("conv_tasnet", norm="cumulative", **SMALL).eval())
    stream.push(torch.randn(1, 7))
    with pytest.raises(ValueError, match="must have 8 samples or more, got 7"):
        stream.finish()
