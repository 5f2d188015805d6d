"""The code that uses an exported autoencoder without this library."""

from pathlib import Path

from convatlas.data.pixels.latent_facts import LatentFacts
from convatlas.tasks.onnx_snippet import reading_code

CODE = """
image = read("photo.png")
reconstruction, latent = session.run(None, {"image": image[None]})
print("mean squared error:", ((reconstruction[0] - image / 255) ** 2).mean())
print("written as", latent[0])
Image.fromarray((reconstruction[0] * 255).round().astype(np.uint8).squeeze()).save("given_back.png")
"""


def reconstruct_runtime_code(file: Path, facts: LatentFacts) -> str:
    """Return code for the exported file: ONNX Runtime, NumPy and Pillow are enough."""
    return reading_code(file, facts.channels, facts.reading) + CODE
