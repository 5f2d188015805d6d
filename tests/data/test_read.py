import io
import os
import struct
import warnings
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from convatlas.data import read_image
from convatlas.errors import DataError

RED, BLUE = (255, 0, 0), (0, 0, 255)


def saved(tmp_path, image, name="image.png", **options):
    path = tmp_path / name
    image.save(path, **options)
    return path


def opened(path):
    """The image as Pillow finds it, with its file closed again."""
    with Image.open(path) as image:
        image.load()
        getattr(image, "n_frames", 1)
        return image


def colours(tensor):
    """The pixels of one row as tuples."""
    return [tuple(pixel) for pixel in tensor[:, 0].T.tolist()]


def test_rgb_keeps_every_value(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    read = read_image(saved(tmp_path, Image.fromarray(values)), 3)
    assert read.dtype == torch.uint8
    torch.testing.assert_close(read, torch.from_numpy(values).permute(2, 0, 1))


def test_one_bit_is_black_and_white(tmp_path):
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    assert read_image(saved(tmp_path, image), 1).flatten().tolist() == [0, 255]


def test_grey_becomes_three_equal_channels_and_colour_becomes_luma(tmp_path):
    grey = saved(tmp_path, Image.new("L", (1, 1), 77), "grey.png")
    assert read_image(grey, 3).flatten().tolist() == [77, 77, 77]
    green = saved(tmp_path, Image.new("RGB", (1, 1), (0, 255, 0)), "green.png")
    assert read_image(green, 1).item() == round(0.587 * 255)  # ITU-R 601


def test_palette_colours_are_looked_up(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)
    assert colours(read_image(saved(tmp_path, image), 3)) == [RED, BLUE]


def test_a_transparent_palette_entry_shows_white(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)
    path = saved(tmp_path, image, transparency=1)
    assert colours(read_image(path, 3)) == [RED, (255, 255, 255)]


@pytest.mark.parametrize(
    ("mode", "pixel", "expected"),
    [
        ("RGBA", (255, 0, 0, 0), (255, 255, 255)),
        ("RGBA", (255, 0, 0, 255), RED),
        ("RGBA", (0, 0, 0, 128), (127, 127, 127)),
        ("LA", (0, 0), (255, 255, 255)),
        ("LA", (10, 255), (10, 10, 10)),
    ],
)
def test_alpha_is_laid_on_white(tmp_path, mode, pixel, expected):
    path = saved(tmp_path, Image.new(mode, (1, 1), pixel))
    assert colours(read_image(path, 3)) == [expected]
    if mode == "LA":
        assert read_image(path, 1).item() == expected[0]


def test_a_transparent_colour_key_shows_white(tmp_path):
    path = saved(tmp_path, Image.new("RGB", (1, 1), RED), transparency=RED)
    assert colours(read_image(path, 3)) == [(255, 255, 255)]


@pytest.mark.parametrize(
    ("ink", "expected"),
    [
        ((0, 0, 0, 0), (255, 255, 255)),
        ((255, 0, 0, 0), (0, 255, 255)),
        ((0, 255, 255, 0), RED),
        ((0, 0, 0, 255), (0, 0, 0)),
    ],
)
@pytest.mark.parametrize("suffix", [".tif", ".jpg"])
def test_cmyk_inks_take_light_away(tmp_path, ink, expected, suffix):
    path = saved(tmp_path, Image.new("CMYK", (8, 8), ink), "image" + suffix)
    found = torch.tensor(colours(read_image(path, 3))[0])
    assert (found - torch.tensor(expected)).abs().max() <= 2  # JPEG rounds


def test_ycbcr_and_lab_become_rgb(tmp_path):
    ycbcr = Image.new("RGB", (8, 8), (200, 30, 60)).convert("YCbCr")
    path = saved(tmp_path, ycbcr, "image.tif")
    assert opened(path).mode == "YCbCr"
    found = torch.tensor(colours(read_image(path, 3))[0])
    assert (found - torch.tensor([200, 30, 60])).abs().max() <= 2
    lab = saved(tmp_path, Image.new("LAB", (1, 1), (255, 128, 128)), "lab.tif")
    white = torch.tensor(colours(read_image(lab, 3))[0])
    assert white.min() >= 250


@pytest.mark.parametrize("name", ["gradient.png", "gradient.tif", "big_endian.tif"])
def test_sixteen_bit_gradients_keep_order_and_extremes(tmp_path, name):
    values = np.linspace(0, 65535, 512).astype(np.uint16)[None]
    if name == "big_endian.tif":
        image = Image.frombytes("I;16B", (512, 1), values.astype(">u2").tobytes())
    else:
        image = Image.fromarray(values)
    path = saved(tmp_path, image, name)
    assert opened(path).mode.startswith("I")
    read = read_image(path, 1).flatten().long()
    assert (read[0], read[-1]) == (0, 255)
    assert (read.diff() >= 0).all()
    assert read.unique().numel() == 256
    exact = torch.from_numpy(values[0].astype(np.float64)) / 257
    assert (read - exact).abs().max() <= 0.5


def test_mode_i_is_sixteen_bits_deep_and_more_is_refused(tmp_path):
    path = saved(tmp_path, Image.fromarray(np.array([[0, 65535]], np.int32)), "i.tif")
    assert opened(path).mode == "I"
    assert read_image(path, 1).flatten().tolist() == [0, 255]
    path = saved(tmp_path, Image.fromarray(np.array([[-1, 70000]], np.int32)), "more.tif")
    with pytest.raises(DataError, match=r"more\.tif: whole numbers must lie in 0\.\.65535, got -1"):
        read_image(path, 1)


def twelve_bit_tiff(values):
    """A one-row TIFF of 12 bits a pixel, packed two pixels to three bytes, by the TIFF 6.0 text."""
    packed = b"".join(
        bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255])
        for a, b in zip(values[::2], values[1::2], strict=True)
    )
    tags = [(256, 4, len(values)), (257, 4, 1), (258, 3, 12), (259, 3, 1), (262, 3, 1)]
    tags += [(273, 4, 8), (277, 3, 1), (278, 4, 1), (279, 4, len(packed))]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    return struct.pack("<2sHI", b"II", 42, 8 + len(packed)) + packed + directory


def test_twelve_bits_are_scaled_by_their_own_depth(tmp_path):
    path = tmp_path / "scan.tif"
    path.write_bytes(twelve_bit_tiff([0, 2048, 1000, 4095]))
    assert read_image(path, 1).flatten().tolist() == [0, 128, 62, 255]


@pytest.mark.parametrize(
    ("values", "expected"), [([0.0, 0.5, 1.0], [0, 128, 255]), ([0.0, 99.6, 255.0], [0, 100, 255])]
)
def test_floats_of_a_known_range_are_scaled(tmp_path, values, expected):
    path = saved(tmp_path, Image.fromarray(np.array([values], np.float32)), "f.tif")
    assert read_image(path, 1).flatten().tolist() == expected


@pytest.mark.parametrize("values", [[-1.0, 1.0], [0.0, 300.0], [0.0, float("nan")]])
def test_floats_of_no_known_range_are_refused(tmp_path, values):
    path = saved(tmp_path, Image.fromarray(np.array([values], np.float32)), "f.tif")
    with pytest.raises(DataError, match=r"f\.tif: (floats must lie in|.*not a number)"):
        read_image(path, 1)


# What the eight orientations mean, as plain turns and mirrors of (c, h, w).
UPRIGHT = {
    1: lambda x: x,
    2: lambda x: x.flip(2),
    3: lambda x: x.rot90(2, (1, 2)),
    4: lambda x: x.flip(1),
    5: lambda x: x.transpose(1, 2),
    6: lambda x: x.rot90(-1, (1, 2)),
    7: lambda x: x.rot90(2, (1, 2)).transpose(1, 2),
    8: lambda x: x.rot90(1, (1, 2)),
}


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation, suffix):
    values = np.random.default_rng(1).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[274] = orientation
    options = {"lossless": True, "exact": True} if suffix == ".webp" else {}
    path = saved(tmp_path, Image.fromarray(values), "turned" + suffix, exif=exif, **options)
    expected = UPRIGHT[orientation](torch.from_numpy(values).permute(2, 0, 1))
    torch.testing.assert_close(read_image(path, 3), expected)


def test_exif_turns_a_sixteen_bit_image_too(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    path = saved(tmp_path, Image.fromarray(np.array([[0, 65535]], np.uint16)), exif=exif)
    assert read_image(path, 1).tolist() == [[[0], [255]]]


def test_damaged_exif_does_not_cost_the_image(tmp_path):
    path = saved(
        tmp_path, Image.new("RGB", (8, 8), RED), "x.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f"
    )
    assert read_image(path, 3).shape == (3, 8, 8)


def test_of_an_animation_the_first_frame_is_taken(tmp_path):
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, BLUE)]
    path = saved(tmp_path, frames[0], "moving.gif", save_all=True, append_images=frames[1:])
    assert opened(path).n_frames == 2
    assert colours(read_image(path, 3))[0] == RED


def huge_png(width, height):
    """A PNG whose header states a size that its few bytes could never hold."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\0")), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("side", [8001, 10_000, 60_000])  # ours, Pillow's warning, Pillow's error
def test_above_64_megapixels_is_refused_from_the_header(tmp_path, side):
    path = tmp_path / "huge.png"
    path.write_bytes(huge_png(side, side))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match=r"huge\.png: .*above the limit of 64 megapixels"):
            read_image(path, 3)


def test_64_megapixels_pass_the_header(tmp_path):
    path = tmp_path / "large.png"
    path.write_bytes(huge_png(8000, 8000))
    with pytest.raises(DataError, match=r"large\.png: (truncated|damaged)"):
        read_image(path, 3)  # comes as far as its missing pixels


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"hello, this is no picture at all", "not an image"),
        (None, "no such file"),
    ],
)
def test_what_is_no_image_is_refused_with_a_reason(tmp_path, content, reason):
    path = tmp_path / "x.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=rf"x\.jpg: {reason}"):
        read_image(path, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".bmp", ".webp"])
def test_a_truncated_file_is_refused(tmp_path, save_noise, suffix):
    path = save_noise(tmp_path / ("cut" + suffix))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(DataError, match=r"cut\.\w+: (truncated|damaged|not an image)"):
        read_image(path, 3)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(DataError, match="not a regular file"):
        read_image(tmp_path / "pipe.png", 3)


def test_a_newline_in_a_name_stays_on_one_line(tmp_path):
    path = tmp_path / "a\nb ünï.png"
    path.write_bytes(b"")
    with pytest.raises(DataError) as caught:
        read_image(path, 1)
    assert str(caught.value).endswith("a\\nb ünï.png: the file is empty")
    assert "\n" not in str(caught.value)


def test_other_channel_counts_are_refused(tmp_path):
    with pytest.raises(ValueError, match="channels must be 1 or more, got 0"):
        read_image(tmp_path / "x.png", 0)


def test_bytes_of_an_image_are_the_only_thing_that_counts(tmp_path):
    held = io.BytesIO()
    Image.new("RGB", (3, 2), BLUE).save(held, "PNG")
    path = tmp_path / "actually_png.jpg"
    path.write_bytes(held.getvalue())
    assert read_image(path, 3).shape == (3, 2, 3)
