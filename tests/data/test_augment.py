import pytest
import torch

from convatlas.data import (
    augment,
    augmentation,
    background_value,
    choose_augmentation,
    make_images,
    open_images,
)
from convatlas.data.images.augment import LEVELS


def images(channels, size, n=32):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, channels, size, size), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("channels", "size"), [(1, 28), (3, 32), (3, 65)])
def test_shape_and_kind_are_kept(level, channels, size):
    batch = images(channels, size)
    out = augment(batch, augmentation(level, channels, size))
    assert out.shape == batch.shape
    assert out.dtype == torch.uint8
    assert torch.equal(out, batch) == (level == "none")


@pytest.mark.parametrize("level", ["digits", "tiny", "photo"])
def test_the_same_seed_draws_the_same(level):
    transform = augmentation(level, 3, 32)
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(augment(images(3, 32), transform))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_images_that_share_a_draw_are_changed_alike():
    one = images(1, 28, n=1).repeat(8, 1, 1, 1)
    out = augment(one, augmentation("digits", 1, 28), together=4)
    assert all(torch.equal(out[i], out[0]) for i in range(4))
    assert not torch.equal(out[0], out[4])
    apart = augment(one, augmentation("digits", 1, 28), together=1)
    assert not torch.equal(apart[0], apart[1])


def test_digits_are_never_mirrored_and_stay_near_their_place():
    corner = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    corner[:, :, 6:12, 6:12] = 255  # upper left; mirroring would move it across the middle
    transform = augmentation("digits", 1, 28)
    for _ in range(50):
        y, x = transform(corner)[0, 0].nonzero().double().mean(0)
        assert abs(y - 8.5) < 6
        assert abs(x - 8.5) < 6


def test_tiny_is_a_crop_of_the_padded_image_or_its_mirror():
    image = images(3, 8, n=1)
    padded = torch.nn.functional.pad(image, (4, 4, 4, 4))
    crops = [padded[..., i : i + 8, j : j + 8] for i in range(9) for j in range(9)]
    transform = augmentation("tiny", 3, 8)
    for _ in range(20):
        out = transform(image)
        assert any(torch.equal(out, c) or torch.equal(out, c.flip(3)) for c in crops)


def test_beyond_the_edge_lies_the_ground():
    white = torch.full((4, 1, 28, 28), 255, dtype=torch.uint8)
    white[:, :, 10:18, 10:18] = 0
    assert background_value(white) == 255
    for fill, is_ground in ((background_value(white), True), (0, False)):
        torch.manual_seed(0)
        drawn = torch.cat([augmentation("digits", 1, 28, fill=fill)(white) for _ in range(20)])
        corners = drawn[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
        assert (corners.float().mean() > 235) == is_ground  # torchvision blends the very edge
    digits = open_images("digits").splits["val"]
    assert background_value(torch.stack([digits.read(i) for i in range(50)])) == 0


def test_the_level_is_chosen_by_channels_and_size(tmp_path):
    assert choose_augmentation(open_images("digits")) == "digits"
    for size, level in ((32, "tiny"), (64, "photo")):
        folder = make_images(tmp_path / str(size), classes=2, per_class=4, size=size)
        assert choose_augmentation(open_images(folder)) == level


def test_an_unknown_level_is_refused():
    with pytest.raises(ValueError, match=r"level must be one of none, digits, .*, resnet, got 'x'"):
        augmentation("x", 1, 28)


@pytest.mark.parametrize(("level", "least", "most"), [("inception", 0.08, 1), ("resnet", 0.2, 0.8)])
def test_crops_of_the_papers_show_so_much_of_the_area(level, least, most):
    # A ramp from left to right and one from top to bottom say how much of each side is seen.
    ramp = torch.arange(256).expand(256, 256)
    picture = torch.stack([ramp, ramp.T, torch.zeros_like(ramp)]).to(torch.uint8)
    crop = augmentation(level, 3, 224).transforms[0]  # without changes of colour
    torch.manual_seed(0)
    seen = []
    for _ in range(40):
        red, green, _ = crop(picture).float() / 256
        seen.append(float((red.max() - red.min()) * (green.max() - green.min())))
    assert least * 0.8 < min(seen) < 0.4
    assert 0.6 < max(seen) <= most


def test_randaugment_comes_before_the_others():
    transform = augmentation("tiny", 3, 32, rand_magnitude=9)
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    assert transform(images).shape == images.shape
    assert type(transform.transforms[0]).__name__ == "RandAugment"
