"""Draw the pictures and write the cost tables of the operator pages, all by `convatlas show-op`.

Run it after a change to an operator: `python docs/operators/draw.py`. A test compares what lies
here with what it would write.
"""

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

from convatlas.cli.main import main

# Page: the calls of show-op whose cost it shows, each with the name of its picture.
PAGES: dict[str, dict[str, str]] = {
    "ordinary": {
        "conv": "conv in_channels=64 out_channels=64 size=28",
        "strided": "strided in_channels=64 out_channels=64 size=28 stride=2",
        "dilated": "dilated in_channels=64 out_channels=64 size=28 dilation=2",
        "pointwise": "pointwise in_channels=64 out_channels=64 size=28",
    },
    "transposed": {
        "transposed": "transposed in_channels=64 out_channels=32 size=14",
    },
    "grouped": {
        "grouped": "grouped in_channels=240 out_channels=240 kernel=1 groups=3 size=28",
        "shuffled_group": "shuffled_group in_channels=240 out_channels=240 groups=3 size=28",
    },
    "separable": {
        "depthwise": "depthwise channels=512 size=14",
        "separable": "separable in_channels=512 out_channels=512 size=14",
        "sub_separable": "sub_separable in_channels=1024 out_channels=1024 kernel=31 groups=16 "
        "size=64",
        "super_separable": "super_separable in_channels=1024 out_channels=1024 kernel=31 groups=2 "
        "size=64",
    },
    "spatially_separable": {
        "spatially_separable": "spatially_separable in_channels=64 out_channels=64 size=28",
        "two_step": "two_step in_channels=64 middle_channels=64 out_channels=64 kernel=7 size=28",
    },
    "pyramid": {
        "pyramid": "pyramid in_channels=128 out_channels=128 size=8",
        "pyramid_concat": "pyramid in_channels=128 out_channels=128 size=8 concat=true",
    },
    "ordered": {
        "masked": "masked in_channels=3 out_channels=126 kernel=7 size=32 mask=A colours=3",
        "causal": "causal in_channels=64 out_channels=64 size=500 dilation=2",
        "gated": "gated in_channels=64 out_channels=64 size=500",
    },
    "graph": {
        "spectral": "spectral in_channels=64 out_channels=64 vertices=228",
        "chebyshev": "chebyshev in_channels=64 out_channels=64 vertices=228 order=3",
        "first_order": "first_order in_channels=64 out_channels=64 vertices=228",
    },
}
HEAD = (
    "| `convatlas show-op …` | weights | multiply-adds | multiply-adds / ordinary |\n"
    "| --- | --: | --: | --: |\n"
)


def draw_page(page: str, folder: Path) -> None:
    """Write `pictures/NAME.svg` for each call of a page, and its table to `costs/PAGE.txt`."""
    rows = ""
    for name, call in PAGES[page].items():
        answer = show_op(*call.split(), "--svg", str(folder / "pictures" / f"{name}.svg"))
        share = f"{answer['ratio']['macs']:.3g}"
        rows += f"| `{call}` | {answer['params']:,} | {answer['macs']:,} | {share} |\n"
    (folder / "costs").mkdir(parents=True, exist_ok=True)
    (folder / "costs" / f"{page}.txt").write_text(HEAD + rows, "utf-8")


def show_op(*args: str) -> dict[str, Any]:
    """The JSON answer of the command."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        try:
            main(["show-op", *args, "--json"])
        except SystemExit as stopped:
            if stopped.code:
                raise
    return json.loads(text.getvalue())


if __name__ == "__main__":
    for one in sys.argv[1:] or PAGES:
        draw_page(one, Path(__file__).parent)
