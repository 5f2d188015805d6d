"""The folder of a generator trained against its discriminator: written, and opened again."""

import json
from dataclasses import asdict, dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from torch import Tensor, nn

import convatlas
from convatlas.errors import DataError
from convatlas.explain.pixels.save_drawn import save_drawn
from convatlas.models.registry import find_entry
from convatlas.replacing import replacing
from convatlas.text import printable
from convatlas.train.adversarial import WEIGHTS
from convatlas.train.log import read_log
from convatlas.train.weights import load_weights

NOTES, REPORT, SHEET = "generator.json", "report.html", "samples.png"
SHOWN, COLUMNS = 64, 8  # images of the sheet
CURVES = {
    "accuracy": "share of real and drawn images that the discriminator tells apart",
    "diversity": "diversity of drawn images relative to real ones",
    "discriminator_loss": "loss of the discriminator",
    "generator_loss": "loss of the generator",
}
WIDTH, HEIGHT, EDGE = 640, 160, 40  # pixels of a curve
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body{{font-family:system-ui,sans-serif;max-width:52em;margin:2em auto;padding:0 1em}}
td,th{{text-align:left;padding:.15em 1em .15em 0}}img{{max-width:100%}}
figure{{margin:1em 0}}text{{font-size:12px}}</style></head><body>
<h1>{title}</h1>
<p>{words}</p>
{warnings}
<h2>Drawn images</h2>
<p>With the seed 0; none was chosen. <code>convatlas sample</code> draws more.</p>
<img src="{sheet}" alt="drawn images">
<h2>How both networks stood</h2>
<p>Neither loss says whether images get better, as each is measured against an opponent that moves.
A discriminator that is always right teaches nothing; drawn images that differ little are few.</p>
{curves}
<h2>Options</h2>
<table>{rows}</table>
</body></html>
"""


@dataclass(frozen=True)
class GeneratorRun:
    """What the folder of a trained generator says of it.

    Args:
        model: registered name.
        options: that it is built with.
        recipe: of the training.
        source: of the images; `images` is how many there were.
        ended: why training ended: `epochs`, `time`, `interrupted` or `diverged`.
        figures: of the last look.
        warnings: what went wrong on the way.
    """

    model: str
    options: dict[str, Any]
    recipe: dict[str, Any]
    source: str
    images: int
    ended: str
    steps: int
    epochs: float
    seconds: float
    figures: dict[str, float]
    warnings: list[str] = field(default_factory=list)
    version: str = convatlas.__version__

    def save(self, folder: Path, generator: Any) -> dict[str, Path]:
        """Write notes, a sheet of drawn images and the report beside the weights.

        Raises:
            WriteError: a file cannot be written.
        """
        with replacing(folder / NOTES) as fresh:
            fresh.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        drawn = as_rows(generator.draw(SHOWN))
        save_drawn(drawn[:0], [folder / SHEET], list(drawn), columns=COLUMNS)
        with replacing(folder / REPORT) as fresh:
            fresh.write_text(self.page(read_log(folder)), encoding="utf-8")
        names = {"notes": NOTES, "weights": WEIGHTS, "sheet": SHEET, "report": REPORT}
        return {kind: folder / name for kind, name in {**names, "log": "log.csv"}.items()}

    def words(self) -> str:
        """Return the result in one line."""
        return (
            f"{self.model}: {self.steps:,} steps on {self.images:,} images, {self.epochs:.2f} "
            f"epochs, {self.seconds:,.0f} s, ended by {self.ended}"
        )

    def page(self, log: list[dict[str, Any]]) -> str:
        """Return the report: drawn images, and how both networks stood."""
        told = "".join(f"<li>{escape(line)}</li>" for line in self.warnings)
        options = {"data": printable(self.source), **self.options, **self.recipe, **self.figures}
        rows = (
            f"<tr><th>{escape(k)}</th><td>{escape(str(v))}</td></tr>" for k, v in options.items()
        )
        return PAGE.format(
            title=escape(f"{self.model} on {printable(Path(self.source).name)}"),
            words=escape(self.words()),
            warnings=f"<ul>{told}</ul>" if told else "",
            sheet=SHEET,
            curves="".join(curve(log, key, words) for key, words in CURVES.items()),
            rows="".join(rows),
        )


def curve(log: list[dict[str, Any]], key: str, words: str) -> str:
    """Return one figure of the looks over the steps, as SVG."""
    points = [(row["step"], row[key]) for row in log if key in row]
    if not points:
        return ""
    last, top = max(step for step, _ in points), max(max(y for _, y in points), 1e-9)
    inner = WIDTH - 2 * EDGE, HEIGHT - 2 * EDGE
    line = " ".join(
        f"{EDGE + inner[0] * step / last:.1f},{HEIGHT - EDGE - inner[1] * max(0.0, y) / top:.1f}"
        for step, y in points
    )
    base = HEIGHT - EDGE
    return (
        f'<figure><figcaption>{escape(words)}</figcaption><svg width="{WIDTH}" height="{HEIGHT}">'
        f'<path d="M{EDGE} {EDGE}V{base}H{WIDTH - EDGE}" fill="none" stroke="#999"/>'
        f'<polyline points="{line}" fill="none" stroke="#1f77b4" stroke-width="2"/>'
        f'<text x="{EDGE - 4}" y="{EDGE + 4}" text-anchor="end">{top:.3g}</text>'
        f'<text x="{EDGE - 4}" y="{base}" text-anchor="end">0</text>'
        f'<text x="{WIDTH - EDGE}" y="{base + 16}" text-anchor="end">step {last:,}</text>'
        "</svg></figure>"
    )


def as_rows(images: Tensor) -> Tensor:
    """Return drawn images as files have them. Shape: (n, c, h, w) -> (n, h, w, c)"""
    return images.permute(0, 2, 3, 1)


def holds_generator(folder: Path) -> bool:
    """Return whether a folder is one of a trained generator."""
    return (folder / NOTES).is_file()


def open_generator(folder: Path) -> tuple[GeneratorRun, nn.Module]:
    """Return what a folder says, and the generator, ready to draw.

    Raises:
        DataError: the folder is damaged.
        WeightsError: the weights are.
    """
    try:
        run = GeneratorRun(**json.loads((folder / NOTES).read_text(encoding="utf-8")))
        network = find_entry(run.model).build(**run.options)
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataError(f"{printable(folder / NOTES)}: is damaged ({error})") from None
    load_weights(network, folder / WEIGHTS)
    return run, network.eval()
