"""Does decay of depthwise filters cost accuracy? MobileNet V2 on a part of CIFAR-10, by the seed.

    python benchmarks/weight_decay.py SCRATCH [EPOCHS [SHARE,... [OPTION=VALUE,...]]]

Trains by the package's own recipe with shares of the decay on depthwise filters (1: all of it, 0:
none) and judges on the same 2,000 test images of the JPEG copy of CIFAR-10. Options of the recipe
may be changed for all. Rows are added to the result.
"""

import sys

import torch

import convatlas as ca
from convatlas.train.loop import train
from convatlas.train.recipe import Recipe
from machine import write_results
from small_cifar import SIDE, SmallCifar

IMAGES, WIDTH, SEEDS = 2000, 0.25, (0, 1, 2)


def main(scratch, epochs=20, shares=(1.0, 0.0), options=()):
    images = SmallCifar(scratch, IMAGES)
    rows = []
    for seed in SEEDS:
        for share in shares:
            torch.manual_seed(seed)
            model = ca.create_model("mobilenet_v2", num_classes=10, width=WIDTH, stem_stride=1)
            recipe = Recipe(epochs=epochs, seed=seed, depthwise_decay=share, **dict(options))
            # Validated once, at the end: the test images choose no weights.
            result = train(model, images.task(), recipe, validate_every_s=1e9)
            row = {
                "network": f"mobilenet_v2:{WIDTH}:{SIDE}",
                "images": IMAGES,
                "epochs": epochs,
                "options": " ".join(f"{key}={value}" for key, value in options),
                "seed": seed,
                "depthwise_decay": share,
                "accuracy": round(result.figures["val_accuracy"], 4),
                "loss": round(result.figures["val_loss"], 4),
                "seconds": round(result.seconds, 1),
            }
            print(row, flush=True)
            rows.append(row)
    write_results("weight_decay", rows, append=True)


def numbers(text):
    return [float(part) for part in text.split(",")]


def pairs(text):
    named = (part.split("=") for part in text.split(","))
    return [(key, value if key == "optimizer" else float(value)) for key, value in named]


if __name__ == "__main__":
    given = sys.argv[2:]
    main(
        sys.argv[1],
        *(read(text) for read, text in zip((float, numbers, pairs), given, strict=False)),
    )
