"""Files deeper than 8 bits: what they mean by white is found, stored and used everywhere."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from convatlas.data import load_split, open_images, open_test, read_image
from convatlas.data.images.deep_values import Values
from convatlas.data.images.png_depth import png_depth
from convatlas.data.images.settle_reading import settle_reading
from convatlas.data.images.stored_reading import PLAIN, Reading, chosen_reading
from convatlas.errors import DataError, UsageError


def ramp(white, seed=0, low=0):
    """A grey picture whose values reach from low to white. Shape: (8, 8)"""
    values = np.random.default_rng(seed).integers(low, white + 1, (8, 8))
    values[0, 0], values[0, 1] = low, white
    return values


def save(path, values, dtype=np.uint16):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(dtype)).save(path)
    return path


def make_set(folder, white, suffix=".png", dtype=np.uint16, low=0):
    for place, label in enumerate("ab"):
        for i in range(8):
            values = ramp(white, seed=10 * place + i, low=low)
            save(folder / label / f"{i}{suffix}", values, dtype)
    return folder


def put_chunk(path, kind, data):
    """Put a chunk behind the header of a PNG."""
    content = path.read_bytes()
    chunk = struct.pack(">I", len(data)) + kind + data
    chunk += struct.pack(">I", zlib.crc32(kind + data))
    path.write_bytes(content[:33] + chunk + content[33:])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_untagged_values_keep_their_levels(tmp_path, bits, suffix):
    white = 2**bits - 1
    data = open_images(make_set(tmp_path, white, suffix))
    assert data.reading.whole == (0, white)
    assert f"{bits} bits: 0 is black and {white:,} is white" in " ".join(data.scan.warnings())
    file = tmp_path / "a" / f"0{suffix}"
    expected = np.floor(ramp(white) * 255 / white + 0.5)
    np.testing.assert_array_equal(read_image(file, 1, data.reading)[0].numpy(), expected)
    split = data.splits["train"]
    assert split.read(0).max() == 255
    assert split.read(0).unique().numel() > 40


def test_grey_of_twelve_bits_with_transparency_keeps_its_levels(tmp_path):
    values = np.random.default_rng(0).integers(0, 4096, (5, 7, 2), dtype=np.uint16)
    values[..., 1] = 65535
    values[0, 0, 1] = 0  # clear, so white
    path = tmp_path / "x.png"
    write_colour(path, values)
    expected = np.floor(values[..., 0] * 255.0 / 4095 + 0.5)
    expected[0, 0] = 255
    read = read_image(path, 1, Reading(whole=(0, 4095)))[0].numpy()
    np.testing.assert_array_equal(read, expected)


@pytest.mark.parametrize(("mode", "suffix"), [("RGB", ".tif"), ("RGB", ".png"), ("RGBA", ".png")])
def test_colour_of_twelve_bits_keeps_its_levels(tmp_path, mode, suffix):
    values = np.random.default_rng(0).integers(0, 4096, (5, 7, len(mode)), dtype=np.uint16)
    if mode == "RGBA":
        values[..., 3] = 65535
    path = tmp_path / f"x{suffix}"
    write_colour(path, values)
    expected = np.floor(values[..., :3] * 255.0 / 4095 + 0.5).transpose(2, 0, 1)
    read = read_image(path, 3, Reading(whole=(0, 4095)))
    np.testing.assert_array_equal(read.numpy(), expected)
    full = read_image(path, 3).numpy()
    np.testing.assert_array_equal(full, (values[..., :3] >> 8).transpose(2, 0, 1))


def write_colour(path, values):
    """A file of 16-bit colour, by the texts of PNG and of TIFF 6.0. Shape: uint16 (h, w, 3 or 4)"""
    height, width, channels = values.shape
    if path.suffix == ".png":
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
        kind = {2: 4, 3: 2, 4: 6}[channels]
        parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))]
        parts += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
        chunks = [
            struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d))
            for k, d in parts
        ]
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
        return
    pixels = values.astype("<u2").tobytes()
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, 8 + len(pixels)), (259, 3, 1, 1)]
    tags += [(262, 3, 1, 2), (273, 4, 1, 8), (277, 3, 1, 3), (278, 4, 1, height)]
    tags += [(279, 4, 1, len(pixels))]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    bits = struct.pack("<HHH", 16, 16, 16)
    place = 8 + len(pixels) + len(bits)
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    path.write_bytes(struct.pack("<2sHI", b"II", 42, place) + pixels + bits + directory)


def test_a_set_of_twelve_bit_colour_is_noticed(tmp_path):
    for label in "ab":
        (tmp_path / label).mkdir()
        for i in range(8):
            values = np.random.default_rng(i + ord(label)).integers(0, 4096, (5, 7, 3))
            write_colour(tmp_path / label / f"{i}.png", values)
    data = open_images(tmp_path)
    assert data.reading.whole == (0, 4095)
    assert data.splits["train"].read(0).max() > 240


def test_a_depth_that_the_file_states_rules(tmp_path):
    grey = save(tmp_path / "x.png", ramp(900))
    put_chunk(grey, b"sBIT", b"\x0c")
    assert png_depth(grey) == 12
    assert png_depth(save(tmp_path / "y.png", ramp(900))) is None
    assert png_depth(save(tmp_path / "y.tif", ramp(900))) is None
    settled, _ = settle_reading(PLAIN, [Values(0, 900, whole=True, bits=12)])
    assert settled.whole == (0, 4095)  # the values alone would say 10 bits
    settled, _ = settle_reading(PLAIN, [Values(0, 65000, whole=True, bits=12)])
    assert settled.whole == (0, 65535)  # scaled up, as the PNG text asks
    pgm = tmp_path / "x.pgm"
    pgm.write_bytes(b"P5 2 1 4095\n" + np.array([0, 4095], ">u2").tobytes())
    assert read_image(pgm, 1, Reading(whole=(0, 1023))).flatten().tolist() == [0, 255]


@pytest.mark.parametrize("tag", [281, 341])
def test_a_tiff_may_state_its_largest_value(tmp_path, tag):
    for place, label in enumerate("ab"):
        for i in range(8):
            path = tmp_path / label / f"{i}.tif"
            path.parent.mkdir(exist_ok=True)
            image = Image.fromarray(ramp(700, seed=10 * place + i).astype(np.uint16))
            image.save(path, tiffinfo={tag: 4095})
    assert open_images(tmp_path).reading.whole == (0, 4095)


def test_only_the_training_images_settle_it(tmp_path):
    for split, white in (("train", 1000), ("val", 1100), ("test", 1200)):
        make_set(tmp_path / split, white)
    data = open_images(tmp_path)
    assert data.reading.whole == (0, 1023)
    assert data.splits["test"].read(0).max() == 255  # a little above white is white
    save(tmp_path / "test" / "a" / "other.png", ramp(60_000))
    data = open_images(tmp_path)
    ((file, reason),) = data.scan.broken
    assert file == "test/a/other.png"
    assert "0 to 60000 do not belong to the range 0 to 1023" in reason
    with pytest.raises(DataError, match=r"other\.png: values from 0 to 60000 do not belong"):
        read_image(tmp_path / file, 1, data.reading)


def test_where_too_many_would_be_refused_all_images_settle_it(tmp_path):
    for split, white in (("train", 200), ("test", 3000)):
        make_set(tmp_path / split, white)
    data = open_images(tmp_path)
    assert data.reading.whole == (0, 4095)
    assert data.scan.broken == []


def test_mixed_depths_are_told(tmp_path):
    make_set(tmp_path, 65535)
    save(tmp_path / "a" / "dark.png", ramp(1000))
    lines = [open_images(tmp_path, seed=seed).scan.reading for seed in range(3)]
    assert any("1 of them stay below 4,095, so they are dark, or of another" in x[0] for x in lines)


def test_signed_and_fractional_values_get_a_stated_window(tmp_path):
    signed = open_images(make_set(tmp_path / "signed", 3071, ".tif", np.int32, low=-1024))
    assert signed.reading.whole == (-1024, 3071)
    assert (
        "hold whole numbers from -1024 to 3071: these are black and white"
        in (signed.scan.reading[0])
    )
    values = signed.splits["train"].read(0)
    assert (values.min(), values.max()) == (0, 255)
    unit = open_images(make_set(tmp_path / "unit", 1, ".tif", np.float32))
    assert unit.reading.floats == (0, 1)
    bytes_ = open_images(make_set(tmp_path / "bytes", 200, ".tif", np.float32))
    assert bytes_.reading.floats == (0, 255)
    dark = save(tmp_path / "dark.tif", ramp(1), np.float32)
    assert read_image(dark, 1, bytes_.reading).max() == 1  # dark, not blown up to white
    wide = open_images(make_set(tmp_path / "wide", 40, ".tif", np.float32, low=-40))
    assert wide.reading.floats == (-40, 40)
    assert "-40 is black and 40 is white; --value-range" in wide.scan.reading[0]


def test_values_that_are_no_numbers_are_refused(tmp_path):
    make_set(tmp_path, 1, ".tif", np.float32)
    values = ramp(1).astype(np.float32)
    values[3, 3] = np.nan
    save(tmp_path / "a" / "nan.tif", values, np.float32)
    data = open_images(tmp_path, max_broken=0.1)
    assert data.scan.broken == [("a/nan.tif", "some values are infinite or not a number")]


def test_the_user_sets_the_range(tmp_path):
    reading = chosen_reading(value_range=(-100, 300))
    data = open_images(make_set(tmp_path, 3071, ".tif", np.int32, low=-1024), reading=reading)
    assert data.reading == reading
    assert "-100 is black and 300 is white (--value-range)" in data.scan.reading[0]
    path = save(tmp_path / "x.tif", np.array([[-500, -100, 100, 300, 9000]]), np.int32)
    assert read_image(path, 1, reading).flatten().tolist() == [0, 0, 128, 255, 255]
    plain = save(tmp_path / "plain.png", np.array([[0, 77]]), np.uint8)
    assert read_image(plain, 1, reading).flatten().tolist() == [0, 77]


@pytest.mark.parametrize("window", [(1, 1), (3, 2), (0, float("inf")), (float("nan"), 1)])
def test_a_range_that_is_none_is_refused(window):
    with pytest.raises(UsageError, match="--value-range must be two numbers, the lower one first"):
        chosen_reading(value_range=window)


def test_the_reading_is_stored_and_used_on_other_data(tmp_path):
    data = open_images(make_set(tmp_path / "data", 4095))
    data.save(tmp_path / "split.json")
    again = load_split(tmp_path / "split.json")
    assert again.reading == data.reading == Reading(whole=(0, 4095))
    assert again.splits["test"].read(0).equal(data.splits["test"].read(0))
    other = open_test(make_set(tmp_path / "other", 900), data.classes, reading=data.reading)
    assert other.splits["test"].read(0).max() == round(900 * 255 / 4095)
