"""Mixup and cutmix: labels are mixed in the shares of the images."""

import pytest
import torch

from convatlas.data.images.mixing import Mixing


def batch():
    """Each image is of one value, its label."""
    labels = torch.arange(8)
    return labels.float()[:, None, None, None].expand(8, 1, 16, 16).contiguous(), labels


@pytest.mark.parametrize("ways", [{"mixup": 1.0}, {"cutmix": 1.0}])
def test_labels_are_shares_of_what_the_images_are_made_of(ways):
    torch.manual_seed(0)
    mix = Mixing(8, **ways)
    for _ in range(5):
        images, shares = mix(*batch())
        assert shares.sum(1) == pytest.approx(1)
        values = torch.arange(8).float()
        # The mean of an image is that of its parts, weighted as the labels are.
        assert images.mean((1, 2, 3)).numpy() == pytest.approx((shares @ values).numpy(), abs=1e-4)
        assert (shares.amax(1) < 1).any()


def test_nothing_is_mixed_after_its_share_of_the_run():
    mix = Mixing(8, mixup=1.0, until=0.5)
    mix.training_progress(0.6)
    images, labels = mix(*batch())
    assert torch.equal(labels, torch.arange(8))
    assert torch.equal(images, batch()[0])
