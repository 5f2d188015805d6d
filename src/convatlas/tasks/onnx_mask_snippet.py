"""The code that uses an exported segmenter without this library."""

from pathlib import Path

from convatlas.data.masks.facts import MaskFacts
from convatlas.tasks.onnx_snippet import reading_code

MASK_CODE = """

mask, probabilities = session.run(None, {"image": read("photo.png")[None]})
Image.fromarray(mask[0]).save("photo-mask.png")
for place, name in enumerate(classes):
    print(name, (mask[0] == place).mean())
"""


VOLUME_CODE = """

slices = [read(f"slice-{place:03d}.png") for place in range(32)]  # as they follow each other
mask, probabilities = session.run(None, {"volume": np.stack(slices)[None]})
for place, each in enumerate(mask[0]):
    Image.fromarray(each).save(f"slice-{place:03d}-mask.png")
for place, name in enumerate(classes):
    print(name, (mask[0] == place).mean())
"""


def mask_runtime_code(file: Path, facts: MaskFacts) -> str:
    """Return code for the exported file: ONNX Runtime, NumPy and Pillow are enough."""
    code = MASK_CODE if facts.depth is None else VOLUME_CODE
    return reading_code(file, facts.channels, facts.reading) + code
