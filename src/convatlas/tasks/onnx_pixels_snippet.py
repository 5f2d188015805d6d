"""The code that uses an exported model of pixels without this library."""

from pathlib import Path

from convatlas.data.pixels.levels import level_values
from convatlas.data.pixels.pixel_data import PixelFacts
from convatlas.tasks.onnx_snippet import reading_code

CODE = """
feed = {{"image": read("photo.png")[None]{label}}}
bits, logits = session.run(None, feed)
print("bits per value:", bits.mean())

# Draw an image: value by value in reading order, each from the logits that those before it leave.
# A pass over the whole image for each value; `convatlas sample` computes one place a step.
random = np.random.default_rng(0)
values = np.array({values})  # that stand for the levels
image = np.zeros((1, {height}, {width}, {channels}), np.uint8)
for row in range({height}):
    for column in range({width}):
        for colour in range({channels}):
            feed = {{"image": image{label}}}
            logits = session.run(None, feed)[1][0, :, colour, row, column].astype(np.float64)
            if len(logits) == 1:  # two levels: the logit of the upper one
                logits = np.array([0.0, logits[0]])
            sums = np.exp(logits - logits.max()).cumsum()
            level = (random.random() * sums[-1] >= sums[:-1]).sum()
            image[0, row, column, colour] = values[level]
Image.fromarray(image[0].squeeze()).save("drawn.png")
"""


def pixels_runtime_code(file: Path, facts: PixelFacts) -> str:
    """Return code for the exported file: ONNX Runtime, NumPy and Pillow are enough."""
    code = CODE.format(
        label=', "class": np.array([0])' if facts.told else "",
        values=level_values(facts.levels).tolist(),
        height=facts.height,
        width=facts.width,
        channels=facts.channels,
    )
    return reading_code(file, facts.channels, facts.reading) + code
