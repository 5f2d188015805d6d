"""Draw `images/spectrograms.png`: made-up sounds as the networks see them; write `sounds/` too.

Run `python docs/draw_spectrograms.py` after the front end has changed.
"""

from pathlib import Path

import soundfile
import torch
from PIL import Image, ImageDraw

from convatlas.data.audio.features import LogMelImage
from convatlas.explain.pictures import to_pil
from convatlas.explain.sounds import RANGE, colours

RATE_HZ, SECONDS, SIZE, SCALE, GAP, TITLE = 16_000, 2.0, 96, 2, 12, 20


def sounds() -> dict[str, torch.Tensor]:
    """Return made-up sounds by what they are. Shape: each (samples,)"""
    random = torch.Generator().manual_seed(0)
    t = torch.arange(round(SECONDS * RATE_HZ)) / RATE_HZ
    turn = 2 * torch.pi * t
    noise = torch.randn(len(t), generator=random)
    clicks = torch.exp(-60 * (t % 0.25))
    hum = sum(torch.sin(220 * n * turn) / n for n in range(1, 9))
    return {
        "siren": torch.sin(800 * turn + 120 * torch.sin(3 * turn)),
        "hammer": clicks * noise,
        "organ": hum * (0.6 + 0.4 * torch.sin(2 * turn)),
        "sea": noise * (0.55 + 0.45 * torch.sin(2.5 * turn)),
    }


def main() -> None:
    """Write the picture and the sounds."""
    front = LogMelImage(RATE_HZ, round(SECONDS * RATE_HZ), SIZE)
    side = SIZE * SCALE
    made = sounds()
    page = Image.new("RGB", (len(made) * (side + GAP) - GAP, side + TITLE), "white")
    draw = ImageDraw.Draw(page)
    for number, (name, sound) in enumerate(made.items()):
        sound = 0.3 * sound / sound.abs().max()
        soundfile.write(Path(__file__).with_name("sounds") / f"{name}.ogg", sound, RATE_HZ)
        image = front(sound[None])[0, 0].flip(0)
        picture = to_pil(colours(((image - image.max()) / RANGE + 1).clamp(0, 1)))
        left = number * (side + GAP)
        page.paste(picture.resize((side, side), Image.Resampling.NEAREST), (left, TITLE))
        draw.text((left, 4), name, fill="black")
    page.save(Path(__file__).with_name("images") / "spectrograms.png", optimize=True)


if __name__ == "__main__":
    main()
