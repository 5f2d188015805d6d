"""The code that uses an exported file without this library, and reads files as the run does."""

from pathlib import Path

from convatlas.data.images.many_channels import COLOUR
from convatlas.data.images.stored_reading import Reading, Window

RUNTIME_CODE = '''\
import json

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession({file!r})
classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])


def read(file):
    """Pixels of an image of any size: upright, transparency on white. uint8 (h, w, {channels})

    Reads what convatlas reads in the same way, except: LAB images, and JPEGs of so many
    pixels that convatlas reads them at a reduced size. It refuses no value far out of range.{limit}
    """
    with Image.open(file) as opened:
        form, bits = opened.format, getattr(opened, "tag_v2", {{}}).get(258, (16,))[0]
        image = ImageOps.exif_transpose(opened)
    grey = image.mode in ("1", "L", "LA", "La", "I", "F") or image.mode.startswith("I;")
    if image.mode in ("I", "F") or image.mode.startswith("I;"):  # more than 8 bits
        values = np.asarray(image).astype(np.float64)
        if image.mode == "F":
            black, white = {floats}
        else:
            black, white = {whole}
{stated}        if form in ("PPM", "JPEG2000"):  # Pillow scales these by the depth they state
            black, white = 0, 65535
        values = ((values - black) * 255 / (white - black)).clip(0, 255)
        image = Image.fromarray(np.floor(values + 0.5).astype(np.uint8))
    elif image.has_transparency_data:
        ground = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    image = image.convert("L" if grey else "RGB")
    return np.asarray(image.convert({mode!r})){axis}
'''
ARRAY_CODE = '''\
import json

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession({file!r})
classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])


def read(file):
    """Numbers of an npy or TIFF file of {channels} channels. uint8 (h, w, {channels})

    Reads what convatlas reads in the same way, except TIFF files that state that they lie turned.
    It refuses no value far out of range.
    """
    if file.lower().endswith(".npy"):
        values = np.load(file)
    else:
        from tifffile import TiffFile

        with TiffFile(file) as opened:
            page = opened.pages[0]
            values = page.asarray()
            values = np.moveaxis(values, 0, -1) if page.axes == "SYX" else values
    if values.shape[2:] != ({channels},):
        raise ValueError(f"{{file}}: must have {channels} channels, got {{values.shape}}")
    if values.dtype == bool:
        return values.astype(np.uint8) * 255
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind == "f":
        black, white = {floats}
    else:
        black, white = {whole}
    values = ((values.astype(np.float64) - black) * 255 / (white - black)).clip(0, 255)
    return np.floor(values + 0.5).astype(np.uint8)
'''
CLASS_CODE = """

probabilities = session.run(None, {{"image": read({photo!r})[None]}})[0][0]
print(classes[probabilities.argmax()], probabilities.max())
"""
STATED = """\
            if 8 < bits < 16:  # a TIFF that states its depth
                black, white = 0, 2**bits - 1
"""
USUAL_FLOATS = "(0, 1) if values.max() <= 1 else (0, 255)"
USUAL_WHOLE = "0, 65535"
COLOUR_LIMIT = """
    Pillow reads 16-bit colour as if it filled 16 bits; convatlas takes the range below."""


def runtime_code(file: Path, channels: int, reading: Reading) -> str:
    """Return code for an exported classifier: ONNX Runtime, NumPy and Pillow are enough.

    Images of other channels than grey or colour need tifffile in place of Pillow.
    """
    if channels in COLOUR:
        return reading_code(file, channels, reading) + CLASS_CODE.format(photo="photo.png")
    code = ARRAY_CODE.format(
        file=str(file),
        channels=channels,
        floats=_window(reading.value_range or reading.floats, USUAL_FLOATS),
        whole=_window(reading.value_range or reading.whole, USUAL_WHOLE),
    )
    return code + CLASS_CODE.format(photo="photo.tif")


def reading_code(file: Path, channels: int, reading: Reading) -> str:
    """Return code that opens an exported file and reads images as it takes them.

    Args:
        file: the exported file.
        channels: of its images, 1 or 3.
        reading: of image files, as the run reads them.
    """
    return RUNTIME_CODE.format(
        file=str(file),
        channels=channels,
        mode="L" if channels == 1 else "RGB",
        axis="[..., None]" if channels == 1 else "",
        floats=_window(reading.value_range or reading.floats, USUAL_FLOATS),
        whole=_window(reading.value_range or reading.whole, USUAL_WHOLE),
        stated="" if reading.value_range else STATED,
        limit=COLOUR_LIMIT if _shallow_colour(reading) else "",
    )


def _window(window: Window | None, usual: str) -> str:
    return usual if window is None else f"{window[0]:.17g}, {window[1]:.17g}"


def _shallow_colour(reading: Reading) -> bool:
    """Whether 16-bit colour is read with its low bytes, which Pillow alone does not give."""
    return (reading.value_range or reading.whole or (0, 65535)) != (0, 65535)
