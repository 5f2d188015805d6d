"""Draws the boxes of a block from top to bottom as SVG: a layered layout, long lines led aside."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

from block_graph import Box, shape_words

WIDTH, LINE, GAP_X, GAP_Y, EDGE = 200, 17, 28, 34, 24
THIN = 12  # room that a passing line takes
SWEEPS = 12
STYLE = (
    "text{font:12px sans-serif;fill:#1b2530;text-anchor:middle}.s{font-size:11px;fill:#5a6b7b}"
    "rect{fill:#eef4fa;stroke:#4a7ba6;stroke-width:1.2}.o{fill:#fdf3e3;stroke:#c98b2b}"
    ".i{fill:#fff;stroke:#8795a3}path{fill:none;stroke:#5a6b7b;stroke-width:1.3}"
)


@dataclass
class Spot:
    """A box, or the point where a line passes a layer: where it stands."""

    box: int | None
    layer: int
    x: float = 0.0

    @property
    def width(self) -> float:
        return WIDTH if self.box is not None else THIN


def draw(boxes: Sequence[Box], title: str) -> str:
    """A picture as text of SVG; equal boxes give equal text."""
    layers, links = _layers(boxes)
    _order(layers, links)
    _place(layers, links)
    left = min(s.x - s.width / 2 for layer in layers for s in layer) - EDGE
    width = max(s.x + s.width / 2 for layer in layers for s in layer) + EDGE - left
    tops = _tops(layers, boxes)
    height = tops[-1]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img">',
        f"<title>{html.escape(title)}</title><style>{STYLE}</style>",
        '<rect class="i" x="0" y="0" width="100%" height="100%" stroke="none"/>',
    ]
    for above, below in links:
        parts.append(_line(above, below, left, tops, boxes))
    for layer in layers:
        parts += [_box(spot, boxes[spot.box], left, tops) for spot in layer if spot.box is not None]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _layers(boxes: Sequence[Box]) -> tuple[list[list[Spot]], list[tuple[Spot, Spot]]]:
    """Every box one layer below the lowest that it reads; long lines pass each layer between."""
    depth: list[int] = []
    for box in boxes:
        depth.append(1 + max((depth[read] for read in box.reads), default=-1))
    spots = [Spot(index, layer) for index, layer in enumerate(depth)]
    layers: list[list[Spot]] = [[] for _ in range(max(depth) + 1)]
    for spot in spots:
        layers[spot.layer].append(spot)
    links = []
    for index, box in enumerate(boxes):
        for read in box.reads:
            above = spots[read]
            for layer in range(depth[read] + 1, depth[index]):
                passing = Spot(None, layer)
                layers[layer].append(passing)
                links.append((above, passing))
                above = passing
            links.append((above, spots[index]))
    return layers, links


def _order(layers: list[list[Spot]], links: list[tuple[Spot, Spot]]) -> None:
    """Sort each layer by the mean place of what it is linked to, down and up in turn."""
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else layers[::-1]:
            place = {id(s): i for row in layers for i, s in enumerate(row)}

            def middle(spot: Spot, down: bool = down, place: dict[int, int] = place) -> float:
                linked = _linked(spot, links, above=down)
                return sum(place[id(s)] for s in linked) / len(linked) if linked else 0.0

            layer.sort(key=middle)


def _place(layers: list[list[Spot]], links: list[tuple[Spot, Spot]]) -> None:
    """Side by side without overlap, then drawn towards what each is linked to."""
    for layer in layers:
        _spread(layer, [0.0] * len(layer))
    for sweep in range(SWEEPS):
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            wanted = []
            for spot in layer:
                linked = _linked(spot, links, above=True) + _linked(spot, links, above=False)
                wanted.append(sum(s.x for s in linked) / len(linked) if linked else spot.x)
            _spread(layer, wanted)


def _spread(layer: list[Spot], wanted: list[float]) -> None:
    """As near to the wanted places as the widths allow, in the order that is given."""
    lefts: list[float] = []
    for index, spot in enumerate(layer):
        x = wanted[index]
        if index:
            before = layer[index - 1]
            x = max(x, lefts[-1] + (before.width + spot.width) / 2 + GAP_X)
        lefts.append(x)
    shift = sum(w - x for w, x in zip(wanted, lefts, strict=True)) / max(1, len(layer))
    for spot, x in zip(layer, lefts, strict=True):
        spot.x = x + shift


def _linked(spot: Spot, links: list[tuple[Spot, Spot]], *, above: bool) -> list[Spot]:
    if above:
        return [a for a, b in links if b is spot]
    return [b for a, b in links if a is spot]


def _height(box: Box) -> float:
    return (len(box.lines) + 1) * LINE + 10


def _tops(layers: list[list[Spot]], boxes: Sequence[Box]) -> list[float]:
    """Where each layer begins, and last where the picture ends."""
    tops = [float(EDGE)]
    for layer in layers:
        tallest = max(_height(boxes[s.box]) for s in layer if s.box is not None)
        tops.append(tops[-1] + tallest + GAP_Y)
    tops[-1] += EDGE - GAP_Y
    return tops


def _box(spot: Spot, box: Box, left: float, tops: list[float]) -> str:
    x, y = spot.x - left, tops[spot.layer]
    kind = "i" if box.lines == ["input"] else "o" if len(box.reads) > 1 else ""
    lines = [
        f'<rect class="{kind}" x="{x - WIDTH / 2:.1f}" y="{y:.1f}" width="{WIDTH}" '
        f'height="{_height(box):.1f}" rx="6"/>'
    ]
    for index, words in enumerate([*box.lines, shape_words(box.shape)], start=1):
        style = ' class="s"' if index > len(box.lines) else ""
        at = y + 2 + index * LINE
        lines.append(f'<text{style} x="{x:.1f}" y="{at:.1f}">{html.escape(words)}</text>')
    return "".join(lines)


def _line(above: Spot, below: Spot, left: float, tops: list[float], boxes: Sequence[Box]) -> str:
    """Straight down beside the boxes of a layer, curved in the gap between two layers."""
    start = tops[above.layer] + (_height(boxes[above.box]) if above.box is not None else 0)
    x, to, end = above.x - left, below.x - left, tops[below.layer]
    gap = end - GAP_Y
    bend = (gap + end) / 2
    path = (
        f"M{x:.1f} {start:.1f}V{gap:.1f}C{x:.1f} {bend:.1f} {to:.1f} {bend:.1f} {to:.1f} {end:.1f}"
    )
    return f'<path d="{path}"/>'
