import pytest
import torch
from torchvision.ops import ps_roi_align

from convatlas.ops.position_sensitive import position_sensitive_align

# Inside, over each border, as small as a point, and far outside.
REGIONS = torch.tensor(
    [[8.0, 9, 90, 70], [-30, -20, 40, 200], [50, 50, 50.5, 51], [0, 0, 128, 96], [300, 5, 400, 60]]
)
IMAGES = torch.tensor([0, 1, 1, 0, 1])


def maps(channels: int, bins: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, channels * bins**2, 6, 8, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("bins", "samples"), [(7, 2), (3, 1), (2, 3)])
def test_bins_are_those_of_torchvision(bins, samples):
    x = maps(2, bins)
    boxes = torch.cat([IMAGES[:, None].double(), REGIONS.double()], 1)
    expected = ps_roi_align(x, boxes, (bins, bins), 1 / 16, samples)
    got = position_sensitive_align(
        x, REGIONS.double(), IMAGES, scale=1 / 16, bins=bins, samples=samples
    )
    assert got.shape == (5, 2, bins, bins)
    torch.testing.assert_close(got, expected)
    assert not got[4].any()


def test_a_bin_reads_its_own_channels_alone():
    x = torch.zeros(1, 2 * 9, 6, 8)
    x[:, 9 + 5] = 1  # of the second channel the bin in row 1, column 2
    got = position_sensitive_align(x, REGIONS[:1], IMAGES[:1], scale=1 / 16, bins=3)
    assert got[0, 1, 1, 2] == 1
    assert got.sum() == 1


def test_gradients():
    x = maps(1, 2).requires_grad_()
    regions = REGIONS[:2].double()

    def run(x):
        return position_sensitive_align(x, regions, IMAGES[:2], scale=1 / 16, bins=2)

    assert torch.autograd.gradcheck(run, (x,))
