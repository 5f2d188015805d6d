"""How much memory one training step takes, against depth: networks that keep their activations and
networks that compute them again.

Every point is a process of its own, which takes the same step (forward, backward; float32 images of
32 pixels, one thread) twice and looks at it in two ways:

- `system_bytes`: by how much the resident memory of the process grew at most, as the operating
  system saw it (the high-water mark of `/proc/self/status`), in the first step. Workspaces of the
  convolutions and holes of the allocator are in it. Empty where the system does not say.
- `kept_bytes`, `peak_bytes`: tensors, counted at every operator by their storages. Kept is what the
  forward pass has left for the backward pass; the peak is the most that lived at once during the
  step, gradients of the weights included, the weights themselves not.

Writes `results/memory.csv` and the picture of `docs/ideas/reversible_networks.md`; `--draw` only
draws the file that is there.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
from pathlib import Path

from machine import RESULTS, write_results

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "memory.svg"
DENSE = {"bottleneck": True, "compression": 0.5}
# Name, network and options, depths that it can have near 38, 74, 110 and 164.
SERIES = (
    ("ResNet", "resnet164_cifar", {}, (38, 74, 110, 164)),
    ("RevNet", "revnet164_cifar", {}, (38, 74, 110, 164)),
    ("RevNet, activations kept", "revnet164_cifar", {"recompute": False}, (38, 74, 110, 164)),
    ("i-RevNet", "irevnet_injective_cifar", {}, (38, 74, 110, 164)),
    ("DenseNet", "densenet_bc100_k12_cifar", DENSE, (40, 76, 112, 166)),
    (
        "DenseNet, memory-efficient",
        "densenet_bc100_k12_cifar",
        DENSE | {"memory_efficient": True},
        (40, 76, 112, 166),
    ),
)
# Small blocks go back to the system like large ones, so that it sees what is in use.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}


def build(model_name, depth, options):
    from convatlas.models import create_model

    if model_name.startswith("irevnet"):  # its depth is that of its stages
        return create_model(model_name, repeats=((depth - 2) // 9,) * 3, **options)
    return create_model(model_name, depth=depth, **options)


def train_once(model, x, between=lambda: None):
    from torch.nn.functional import cross_entropy

    loss = cross_entropy(model(x), x.new_zeros(len(x)).long())
    between()
    loss.backward()
    model.zero_grad()


def measure(point):
    """One point, in the process that was started for it."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    from convatlas.cost.memory import LiveBytes, measure_growth

    class Watch(TorchDispatchMode):
        """Every tensor that an operator puts out, from its making to its end."""

        def __init__(self):
            super().__init__()
            self.live = LiveBytes()

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            # In place and views: the storage is a weight's, which was there before.
            self.live.hold([t for t in leaves(out) if t.untyped_storage()._cdata not in before])
            return out

    def leaves(out):
        return [t for t in (out if isinstance(out, list | tuple) else [out]) if torch.is_tensor(t)]

    torch.set_num_threads(1)
    torch.manual_seed(0)
    train_once(build("resnet20_cifar", 20, {"width": 0.25}), torch.rand(2, 3, 32, 32))
    model = build(point["model"], point["depth"], point["options"])
    x = torch.rand(point["batch"], 3, 32, 32)
    system = measure_growth(lambda: train_once(model, x))
    held = [x, *model.parameters(), *model.buffers()]
    before = {t.untyped_storage()._cdata for t in held}
    kept = []
    with Watch() as watch:
        train_once(model, x, lambda: kept.append(watch.live.now))
    return {
        "params": sum(p.numel() for p in model.parameters()),
        "kept_bytes": kept[0],
        "peak_bytes": watch.live.peak,
        "system_bytes": system,
    }


def points(batch):
    for network, model, options, depths in SERIES:
        for depth in depths:
            point = {"model": model, "depth": depth, "options": options, "batch": batch}
            command = [sys.executable, __file__, "--point", json.dumps(point)]
            done = subprocess.run(
                command, env=os.environ | ALLOCATOR, stdout=subprocess.PIPE, text=True, check=True
            )
            row = {"network": network, "depth": depth, "batch": batch, **json.loads(done.stdout)}
            print(row, file=sys.stderr)
            yield row


def growth(rows):
    """Each network's figures at its largest depth over those at its smallest, as columns."""
    for network in dict.fromkeys(row["network"] for row in rows):
        own = [row for row in rows if row["network"] == network]
        for row in own:
            over = {f"{what}_of_the_smallest": row[what] for what in ("peak_bytes", "system_bytes")}
            for name, value in over.items():
                first = own[0][name.removesuffix("_of_the_smallest")]
                row[name] = round(value / first, 3) if value and first else None
    return rows


COLOURS = ("#d1481f", "#1a7f37", "#8250df", "#0969da", "#9a6700", "#57606a")
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 720, 400, 62, 52, 214, 46


def draw(rows):
    """Peak of the tensors against depth: lines with their names at the right end."""
    most = max(float(row["peak_bytes"]) for row in rows) / 2**20
    step = next(s for s in (50, 100, 200, 500, 1000, 2000) if most / s <= 6)
    top = step * -(-most // step)
    deepest = max(int(row["depth"]) for row in rows)
    across, up = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def place(depth, megabytes):
        return LEFT + across * depth / deepest, HEIGHT - BOTTOM - up * megabytes / top

    batch = rows[0]["batch"]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12" role="img">',
        "<title>Memory of a training step against depth</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="6" fill="#fff"/>',
        '<text x="16" y="24" fill="#24292f" font-weight="bold" font-size="13">'
        f"Most memory in tensors during one training step, {batch} images of 32 x 32 (MiB)</text>",
    ]
    for megabytes in range(0, int(top) + 1, step):
        x, y = place(0, megabytes)
        parts.append(f'<path d="M{x:.0f} {y:.1f}h{across}" stroke="#d0d7de"/>')
        parts.append(f'<text x="{x - 8:.0f}" y="{y + 4:.1f}" text-anchor="end">{megabytes}</text>')
    for depth in (0, 38, 74, 110, 164):
        x, y = place(depth, 0)
        parts.append(f'<text x="{x:.1f}" y="{y + 18:.0f}" text-anchor="middle">{depth}</text>')
    x, y = place(deepest / 2, 0)
    parts.append(f'<text x="{x:.0f}" y="{y + 36:.0f}" text-anchor="middle">weighted layers</text>')
    parts += _lines(rows, place)
    PICTURE.write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")
    print(f"drawn to {PICTURE.relative_to(PICTURE.parents[2])}")


def _lines(rows, place):
    ends = []
    for colour, network in zip(COLOURS, dict.fromkeys(row["network"] for row in rows), strict=True):
        own = [(int(r["depth"]), float(r["peak_bytes"]) / 2**20) for r in rows]
        own = [p for p, r in zip(own, rows, strict=True) if r["network"] == network]
        dots = [place(*point) for point in own]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in dots)
        yield f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for x, y in dots:
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'
        ends.append((dots[-1][1], dots[-1][0], colour, f"{network} {own[-1][1]:.0f}"))
    below = float("inf")
    for y, x, colour, label in sorted(ends, reverse=True):  # from below, none over another
        below = min(y + 4, below - 16)
        yield f'<text x="{x + 9:.1f}" y="{below:.1f}" fill="{colour}">{label}</text>'


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--draw", action="store_true", help="draw the results that are there")
    parser.add_argument("--point", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.point:
        print(json.dumps(measure(options.point)))
        return
    if not options.draw:
        write_results("memory", growth(list(points(options.batch))))
    with (RESULTS / "memory.csv").open(encoding="utf-8") as file:
        draw(list(csv.DictReader(file)))


if __name__ == "__main__":
    main()
