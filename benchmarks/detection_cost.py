"""What detectors cost by part, beside the published figures, and how fast two light ones answer.

- `results/detection_cost.csv`: for every detector of the atlas, and every size and number of
  classes that a figure was published for, counted multiply-adds of backbone, neck and head,
  counted parameters, and both over the published ones.
- `results/detection_speed.csv`: seconds an image of 320 x 320 pixels on one core, forward pass
  alone and with the choice of boxes, of ThunderNet-SNet49, our SSDLite and torchvision's SSDLite
  in turns; ours as torch runs it and in the way that `use_fast_kernels` measures to be fastest.
  Weights are random; logits are spread and the bias of the background is moved until about `BOXES`
  scores pass the threshold (`scores`), since the time to choose boxes depends on it. torchvision's
  passes include its normalising of the image.

Also writes the tables of `docs/ideas/cost_of_detectors.md`. `--count` leaves the times as they are.
"""

import argparse
import csv
import sys
import time
from pathlib import Path

import torch

from convatlas.claims.loader import load_claims
from convatlas.cost import count
from convatlas.models import create_model, find_entry, model_names
from convatlas.models.on_shapes import on_shapes
from convatlas.text import format_number
from machine import RESULTS, write_results

PAGE = Path(__file__).parents[1] / "docs" / "ideas" / "cost_of_detectors.md"
NECKS = ("pyramid", "neck", "context", "attention", "extra")  # between backbone and head
SIDE, BOXES, ROUNDS, SECONDS = 320, 100, 5, 1.0


def published():
    """What was published of detectors' costs: by name, input and options, quantity -> claim."""
    found = {name: {} for name in model_names() if find_entry(name).task == "detect"}
    for claim in load_claims():
        if claim.model in found and claim.check == "count" and claim.unchecked is None:
            key = (claim.input, tuple(sorted(claim.options.items())))
            found[claim.model].setdefault(key, {})[claim.quantity] = claim
    return found


def costs():
    for name, claims in published().items():
        for (shape, options), figures in (claims or {(None, ()): {}}).items():
            with on_shapes():
                model = create_model(name, **dict(options)).eval()
                size = shape or tuple(model.example()[0].shape[1:])
            cost = count(model, (1, *size))
            parts = dict.fromkeys(("backbone", "neck", "head"), 0)
            for layer in cost.layers:
                parts[part_of(layer.name)] += layer.macs
            row = {"model": name, "classes": model.num_classes, "side": size[-1]}
            row |= {f"{part}_macs": macs for part, macs in parts.items()}
            for quantity in ("macs", "params"):
                counted, claim = getattr(cost, quantity), figures.get(quantity)
                row[quantity] = counted
                row[f"published_{quantity}"] = int(claim.value) if claim else ""
                row[f"{quantity}_ratio"] = round(counted / claim.value, 4) if claim else ""
            row["where"] = "; ".join(dict.fromkeys(claim.where for claim in figures.values()))
            assert sum(parts.values()) == cost.macs
            yield row


def part_of(layer):
    first = layer.partition(".")[0]
    return "backbone" if first == "backbone" else "neck" if first in NECKS else "head"


def networks():
    """Name, way, scores above the threshold, forward pass and whole detection."""
    from torchvision.models.detection import ssdlite320_mobilenet_v3_large

    from convatlas.kernels import use_fast_kernels

    images = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    for name in ("thundernet_snet49", "ssdlite_mobilenet_v3_large_half_c4_c5"):
        for way in ("torch", "use_fast_kernels"):
            torch.manual_seed(0)
            model = create_model(name).eval()
            if way == "use_fast_kernels":
                with torch.no_grad():
                    use_fast_kernels(model, images)
            with torch.inference_mode():
                passing = few_boxes(
                    last_layers(model),
                    lambda model=model: class_logits(model(images), model.num_classes),
                    model.score_threshold,
                )
            calls = (lambda m=model: m(images), lambda m=model: m.detect(images))
            yield name, way, passing, *calls
    torch.manual_seed(0)
    peer = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None).eval()
    convs = [part[1] for part in peer.head.classification_head.module_list]
    batch = [images[0]]

    def heads():
        return peer.head(list(peer.backbone(peer.transform(batch)[0].tensors).values()))

    with torch.inference_mode():
        passing = few_boxes(convs, lambda: heads()["cls_logits"], peer.score_thresh)
    calls = (heads, lambda: peer(batch))
    yield "torchvision ssdlite320_mobilenet_v3_large", "torch", passing, *calls


def last_layers(model):
    """The layers that put out the logits of classes."""
    if hasattr(model, "region_classes"):
        return [model.region_classes]
    return [head[1] for head in model.class_heads]


def class_logits(answers, classes):
    return next(x for x in answers if x.shape[-1] == 1 + classes)


def few_boxes(layers, logits, threshold):
    """Spread the logits and move the background's bias until about `BOXES` scores pass."""
    outputs = logits().shape[-1]
    spread = 2 / logits().std()
    for layer in layers:
        layer.weight *= spread
    start = [layer.bias.view(-1, outputs)[:, 0].clone() for layer in layers]

    def passing(shift):
        for layer, bias in zip(layers, start, strict=True):
            layer.bias.view(-1, outputs)[:, 0] = bias + shift
        return int((logits().softmax(-1)[..., 1:] > threshold).sum())

    low, high = -20.0, 40.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if passing(middle) > BOXES else (low, middle)
    return passing(high)


def speeds():
    torch.set_num_threads(1)
    found = list(networks())
    times = {}
    with torch.inference_mode():
        for turn in range(ROUNDS + 1):  # the first turn warms up
            for name, way, _, *calls in found:
                for what, call in zip(("forward_s", "detect_s"), calls, strict=True):
                    each, end = [], time.perf_counter() + SECONDS * (turn > 0)
                    while len(each) < 3 or time.perf_counter() < end:
                        start = time.perf_counter()
                        call()
                        each.append(time.perf_counter() - start)
                    times.setdefault((name, way, what), []).extend(each if turn else [])
    peer = min(times[found[-1][0], "torch", "detect_s"])
    for name, way, passing, *_ in found:
        row = {"model": name, "way": way, "side": SIDE, "scores": passing}
        for what in ("forward_s", "detect_s"):
            each = sorted(times[name, way, what])
            row[what] = round(each[0], 5)
            row[f"{what}_median"] = round(each[len(each) // 2], 5)
        row["images_per_s"] = round(1 / row["detect_s"], 1)
        row["of_torchvisions"] = round(peer / row["detect_s"], 2)
        yield row


def read(name):
    with (RESULTS / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def cost_table(rows):
    lines = [
        "| network | classes | pixels | backbone | neck | head | multiply-adds | of published "
        "| parameters | of published |",
        "| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for row in rows:
        numbers = [
            format_number(int(row[key]))
            for key in ("backbone_macs", "neck_macs", "head_macs", "macs")
        ]
        params = format_number(int(row["params"]))
        cells = [f"`{row['model']}`", row["classes"], row["side"], *numbers]
        cells += [row["macs_ratio"], params, row["params_ratio"]]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def speed_table(rows):
    lines = [
        f"Least time of {ROUNDS} turns in which the networks follow each other, on one core of an "
        f"{rows[0]['device']} that other work shares (ratios say more than times), one image of "
        f"{SIDE} pixels (`benchmarks/results/detection_speed.csv`):\n",
        "| network | run by | forward pass | with the choice of boxes | images a second "
        "| of torchvision's |",
        "| --- | --- | --: | --: | --: | --: |",
    ]
    for row in rows:
        times = [f"{float(row[key]) * 1e3:.1f} ms" for key in ("forward_s", "detect_s")]
        cells = [row["model"], row["way"], *times, row["images_per_s"], row["of_torchvisions"]]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", action="store_true", help="count alone, leave the times")
    if not parser.parse_args().count:
        write_results("detection_speed", list(speeds()))
    write_results("detection_cost", list(costs()))
    sys.path.insert(0, str(PAGE.parents[1]))
    from readme_parts import replace_part

    replace_part(PAGE, "detection_cost", cost_table(read("detection_cost")))
    replace_part(PAGE, "detection_speed", speed_table(read("detection_speed")))


if __name__ == "__main__":
    main()
