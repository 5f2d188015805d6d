import sys
import threading
import time

import numpy as np
import pytest
import torch
from PIL import Image

from convatlas.data import open_images, read_image
from convatlas.data.images.image_limits import MAX_SIDE, ImageTooLarge, check_size, megapixels
from convatlas.data.images.read import quiet_pillow
from convatlas.data.images.resize import Resize, resize, resize_image, resize_weights
from convatlas.data.images.stored_reading import PLAIN, Reading, chosen_reading
from convatlas.data.threads import PixelGate, in_threads, wait_for_pixels
from convatlas.errors import DataError, UsageError


@pytest.mark.parametrize("sides", [(60_000_000, 1), (1, MAX_SIDE + 1)])
def test_a_long_side_is_refused_however_few_the_pixels(sides):
    with pytest.raises(ImageTooLarge, match="above the limit of 65,535 a side"):
        check_size(*sides)
    check_size(MAX_SIDE, 1)


def test_a_long_strip_is_refused_from_its_header(tmp_path):
    path = tmp_path / "strip.png"
    Image.new("1", (70_000, 1)).save(path)
    with pytest.raises(DataError, match=r"strip\.png: 70000 x 1 pixels, above the limit of 65,535"):
        read_image(path, 1)


def test_the_limit_of_pixels_is_an_option(tmp_path):
    path = tmp_path / "x.png"
    Image.new("L", (20, 10)).save(path)
    assert read_image(path, 1, Reading(max_pixels=200)).shape == (1, 10, 20)
    with pytest.raises(DataError, match="above the limit of 199 pixels; --max-pixels allows more"):
        read_image(path, 1, Reading(max_pixels=199))


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("limit", "scale"), [(6400, 1), (6399, 2), (1600, 2), (1000, 4), (100, 8)])
def test_a_jpeg_above_the_limit_is_read_at_a_reduced_size(tmp_path, limit, scale, turned):
    exif = Image.Exif()
    exif[274] = 6 if turned else 1
    ramp = Image.linear_gradient("L").resize((160, 40))  # dark at the top, light at the bottom
    path = tmp_path / "photo.jpg"
    ramp.save(path, quality=95, exif=exif)
    read = read_image(path, 1, Reading(max_pixels=limit)).float()
    upright = (1, 160, 40) if turned else (1, 40, 160)
    assert read.shape == (1, upright[1] // scale, upright[2] // scale)
    expected = resize(read_image(path, 1).float(), 4)
    assert (resize(read, 4) - expected).abs().max() < 6


def test_a_jpeg_that_no_scale_brings_below_the_limit_is_refused(tmp_path):
    path = tmp_path / "photo.jpg"
    Image.new("L", (160, 160)).save(path)
    with pytest.raises(DataError, match="160 x 160 pixels, above the limit of 399 pixels"):
        read_image(path, 1, Reading(max_pixels=399))


def test_pillows_own_limit_is_back_after_reading():
    before = Image.MAX_IMAGE_PIXELS
    with quiet_pillow():
        with quiet_pillow():
            assert Image.MAX_IMAGE_PIXELS == 500_000_000
        assert Image.MAX_IMAGE_PIXELS == 500_000_000
    assert before == Image.MAX_IMAGE_PIXELS


def test_a_run_keeps_the_limit_it_was_given(tmp_path):
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for i in range(8):
            pixels = np.full((4, 4), i * 20 + (label == "b"), np.uint8)
            Image.fromarray(pixels).save(tmp_path / label / f"{i}.png")
    Image.new("L", (40, 40)).save(tmp_path / "a" / "large.png")
    data = open_images(tmp_path, max_broken=0.1, reading=Reading(max_pixels=100))
    assert [file for file, _ in data.scan.broken] == ["a/large.png"]
    assert data.splits["test"].store.reading == data.reading == Reading(max_pixels=100)


@pytest.mark.parametrize("pixels", [0, -1, float("nan"), 2e9])
def test_a_limit_that_cannot_be_is_refused(pixels):
    with pytest.raises(UsageError, match=r"--max-pixels must lie in 1\.\.1,000,000,000, got"):
        chosen_reading(pixels)


def test_no_limit_given_is_the_usual_one():
    assert chosen_reading() == PLAIN
    assert PLAIN.max_pixels == 64_000_000
    assert megapixels(64_000_000) == "64 megapixels"


def test_a_matrix_for_an_absurd_side_is_never_built():
    with pytest.raises(ValueError, match="a side must be at most 65,535 pixels, got 60,000,000"):
        resize_weights(60_000_000, 224, torch.device("cpu"))


def test_the_crop_of_a_long_strip_never_builds_the_strip():
    strip = torch.randint(0, 256, (1, 1, 65_535), dtype=torch.uint8)
    how = Resize(crop=0.875)  # stretched first, the strip would have 256 x 16,776,960 pixels
    assert resize_image(strip, 224, how).shape == (1, 224, 224)


@pytest.mark.parametrize("how", [Resize(), Resize(crop=0.875)])
def test_a_long_strip_and_planes_apart_give_the_same_numbers(monkeypatch, how):
    image = torch.randint(0, 256, (3, 9, 171), dtype=torch.uint8)
    expected = resize(image.float(), 8, how)
    torch.testing.assert_close(resize_image(image, 8, how), expected, atol=1e-3, rtol=0)
    monkeypatch.setattr(sys.modules["convatlas.data.images.resize"], "MAX_NUMBERS", 100)
    torch.testing.assert_close(resize_image(image, 8, how), expected, atol=1e-3, rtol=0)


def test_threads_never_hold_more_pixels_than_the_gate_allows(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    held, most, lock = 0, 0, threading.Lock()

    def work(pixels):
        nonlocal held, most
        wait_for_pixels(pixels)
        wait_for_pixels(pixels)  # checked first, then decoded: counts once
        with lock:
            held += pixels
            most = max(most, held)
        time.sleep(0.002)
        with lock:
            held -= pixels
        return pixels

    items = [30, 40, 30, 20, 90, 10] * 4
    assert list(in_threads(work, items, at_once=100)) == items
    assert 40 <= most <= 100
    assert list(in_threads(work, [250, 10, 250], at_once=100)) == [250, 10, 250]  # goes alone
    assert most == 250


def test_outside_threads_nothing_waits():
    wait_for_pixels(10**12)
    gate = PixelGate(5)
    gate.take(7)
    gate.give(7)
    assert gate.held == 0
