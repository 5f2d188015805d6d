"""The code that finds boxes with an exported file without this library."""

from pathlib import Path

from convatlas.data.images.stored_reading import Reading
from convatlas.tasks.onnx_snippet import reading_code

BOX_CODE = """

boxes, scores, labels = (each[0] for each in session.run(None, {"image": read("photo.png")[None]}))
for box, score, label in zip(boxes, scores, labels):
    if score > SCORE:  # the rest is less sure, or no box at all
        print(classes[label], round(float(score), 3), [round(float(x), 1) for x in box])
"""


def boxes_runtime_code(file: Path, channels: int, reading: Reading, score: float) -> str:
    """Return code for the exported file: ONNX Runtime, NumPy and Pillow are enough.

    Args:
        file: the exported detector.
        channels: of its images, 1 or 3.
        reading: of image files, as the run reads them.
        score: from which a box is shown.
    """
    return reading_code(file, channels, reading) + BOX_CODE.replace("SCORE", f"{score:g}")
