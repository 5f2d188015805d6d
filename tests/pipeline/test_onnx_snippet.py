"""The code that the report offers for the exported file answers as `predict` does, on any file."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch import nn

from convatlas.data.images.preprocess import Preprocess
from convatlas.data.images.read import read_image
from convatlas.data.images.stored_reading import PLAIN, Reading
from convatlas.deploy.classifier import ImageClassifier
from convatlas.deploy.onnx_file import export_onnx
from convatlas.errors import DataError
from convatlas.tasks.onnx_snippet import runtime_code

READINGS = {
    "plain": PLAIN,
    "12 bits": Reading(whole=(0, 4095), floats=(0, 255)),
    "10 bits": Reading(whole=(0, 1023), floats=(-3.5, 7.25)),
    "given": Reading(value_range=(-20, 900.5)),
}


def noise(*shape, white=256, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, white, shape).astype(dtype)


def turned(orientation):
    exif = Image.Exif()
    exif[274] = orientation
    return exif


def palette(transparent):
    image = Image.fromarray(noise(9, 14, 3)).quantize(8)
    return image, {"transparency": 3} if transparent else {}


def cmyk():
    return (
        Image.fromarray(noise(9, 14, 4), mode=None).convert("RGBA").convert("RGB").convert("CMYK")
    )


def files(folder):
    """Files of every kind: name and path."""
    colour, grey = Image.fromarray(noise(9, 14, 3)), Image.fromarray(noise(9, 14))
    made = {"colour.png": (colour, {}), "grey.png": (grey, {}), "bit.png": (grey.convert("1"), {})}
    for orientation in range(1, 9):
        made[f"turned{orientation}.jpg"] = (colour, {"exif": turned(orientation)})
    made["turned.png"] = (colour, {"exif": turned(6)})
    made["turned.tif"] = (colour, {"exif": turned(6)})
    made["clear.png"] = (Image.fromarray(noise(9, 14, 4)), {})
    made["clear grey.png"] = (Image.fromarray(noise(9, 14, 2), mode=None), {})
    made["clear.webp"] = (Image.fromarray(noise(9, 14, 4)), {"lossless": True})
    made["key.png"] = (colour, {"transparency": colour.getpixel((2, 3))})
    made["palette.png"] = palette(False)
    made["clear palette.png"] = palette(True)
    made["clear.gif"] = palette(True)
    made["ink.jpg"] = (cmyk(), {})
    made["ink.tif"] = (cmyk(), {})
    made["luma.tif"] = (colour.convert("YCbCr"), {})
    for bits in (10, 12, 14, 16):
        deep = Image.fromarray(noise(9, 14, white=2**bits, dtype=np.uint16))
        made[f"deep{bits}.png"] = (deep, {})
        made[f"deep{bits}.tif"] = (deep, {})
        made[f"turned{bits}.png"] = (deep, {"exif": turned(8)})
    made["unit.tif"] = (Image.fromarray(noise(9, 14, white=1000).astype(np.float32) / 999), {})
    made["long.tif"] = (Image.fromarray(noise(9, 14, white=60000, dtype=np.int32)), {})
    paths = []
    for name, (image, options) in made.items():
        image.save(folder / name, **options)
        paths.append(folder / name)
    pgm = folder / "deep.pgm"
    pgm.write_bytes(b"P5 14 9 4095\n" + noise(9, 14, white=4096).astype(">u2").tobytes())
    return [*paths, pgm]


def code_for(reading, channels, folder):
    return runtime_code(folder / "model.onnx", channels, reading)


def reader(code):
    """The snippet's `read`, without a session."""
    code = code[code.index("def read") : code.index("probabilities =")]
    names = {"np": np, "Image": Image, "ImageOps": ImageOps}
    exec(code, names)
    return names["read"]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", READINGS)
def test_the_snippet_reads_every_kind_of_file_as_we_do(tmp_path, name, channels):
    reading = READINGS[name]
    read = reader(code_for(reading, channels, tmp_path))
    compared = 0
    for path in files(tmp_path):
        try:
            ours = read_image(path, channels, reading).permute(1, 2, 0).numpy()
        except DataError:  # out of the range that this reading knows
            continue
        np.testing.assert_array_equal(read(path), ours, err_msg=path.name)
        compared += 1
    assert compared >= (36 if name == "plain" else 28)


def test_the_whole_snippet_answers_as_the_network_does(tmp_path, monkeypatch, capsys):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 3))
    classifier = ImageClassifier(Preprocess(3, 8, [0.5] * 3, [0.3] * 3), network, list("abc"))
    file = tmp_path / "model.onnx"
    export_onnx(classifier, file, metadata={})
    reading = Reading(whole=(0, 4095))
    code = code_for(reading, 3, tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in ("turned6.jpg", "clear.png", "deep12.png", "ink.jpg", "clear palette.png"):
        path = next(path for path in files(tmp_path) if path.name == name)
        names: dict = {}
        exec(code.replace("photo.png", name), names)
        ours = classifier.predict([read_image(path, 3, reading).permute(1, 2, 0).contiguous()])[0]
        assert np.abs(names["probabilities"] - ours.numpy()).max() < 1e-4, name


def test_what_the_snippet_does_not_read_alike_is_said_in_it(tmp_path):
    assert "16-bit colour" not in code_for(PLAIN, 3, tmp_path)
    assert "16-bit colour" in code_for(Reading(whole=(0, 4095)), 3, tmp_path)
