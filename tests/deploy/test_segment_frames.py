import pytest
import torch

from convatlas.deploy import segment_frames as module
from convatlas.deploy.segment_frames import median_filter, segment_frames
from convatlas.models import create_model


def loud(x):
    """Two classes: quiet or loud, by the mean of the window."""
    mean = x.mean((1, 2))
    return torch.stack([torch.zeros_like(mean), 50 * (mean - 0.5)], 1)


def test_each_frame_is_classified_with_its_own_window():
    torch.manual_seed(0)
    model = create_model("swishnet_slim").eval()
    frames = torch.randn(20, 60)
    got = segment_frames(model, frames, 21, median=1, batch=7)
    assert got.shape == (3, 60)
    for t in (0, 10, 11, 30, 49, 50, 59):
        at = min(max(t - 10, 0), 39)
        with torch.no_grad():
            expected = model(frames[None, :, at : at + 21]).softmax(1)[0]
        torch.testing.assert_close(got[:, t], expected)


def test_a_short_disturbance_is_smoothed_away_and_a_change_stays_where_it_is():
    frames = torch.zeros(4, 300)
    frames[:, 150:] = 1
    frames[:, 60:63] = 1
    got = segment_frames(loud, frames, 1, median=21).argmax(0)
    assert torch.equal(got, (torch.arange(300) >= 150).long())


@pytest.mark.parametrize("length", [1, 5, 21])
def test_the_filter_is_scipys(length, monkeypatch):
    ndimage = pytest.importorskip("scipy.ndimage")
    monkeypatch.setattr(module, "BLOCK", 7)
    x = torch.randn(2, 40)
    expected = ndimage.median_filter(x.numpy(), size=(1, length), mode="nearest")
    assert torch.equal(median_filter(x, length), torch.from_numpy(expected))


def test_what_cannot_be_filtered_or_is_too_short_is_refused():
    with pytest.raises(ValueError, match="median must be an odd number, got 200"):
        segment_frames(loud, torch.zeros(4, 30), 5, median=200)
    with pytest.raises(ValueError, match="must have 31 frames or more, its context, got 30"):
        segment_frames(loud, torch.zeros(4, 30), 31)
