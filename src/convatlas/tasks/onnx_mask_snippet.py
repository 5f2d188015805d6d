"""The code that uses an exported segmenter without this library."""

from pathlib import Path

from convatlas.data.images.stored_reading import Reading
from convatlas.tasks.onnx_snippet import reading_code

MASK_CODE = """

mask, probabilities = session.run(None, {"image": read("photo.png")[None]})
Image.fromarray(mask[0]).save("photo-mask.png")
for place, name in enumerate(classes):
    print(name, (mask[0] == place).mean())
"""


def mask_runtime_code(file: Path, channels: int, reading: Reading) -> str:
    """Return code for the exported file: ONNX Runtime, NumPy and Pillow are enough."""
    return reading_code(file, channels, reading) + MASK_CODE
