"""Generated against ordinary kernels on Fashion-MNIST: what does a sixth of the weights cost?

WRN-40-1 with kernels made from embeddings, the same with ordinary kernels, and an ordinary network
with about as many weights as the first, each trained equally long from each seed. Nothing is chosen
by the test images: they are asked once, at the end.

    python benchmarks/hyper_networks.py [--epochs 2] [--size 16] [--seeds 0] [--networks ...]
"""

import argparse
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import TensorDataset

import convatlas as ca
from convatlas.train.loop import train
from convatlas.train.recipe import Recipe
from convatlas.train.tasks.classify import Classify
from machine import write_results

SOURCE = "fashion_mnist/fashion_mnist.npz"
NETWORKS = {  # name in the table: registered name and its options
    "generated": ("hyper_wide_resnet40_1_cifar", {}),
    "ordinary": ("wide_resnet40_1_cifar", {"projects": False}),
    "ordinary, as few weights": ("wide_resnet40_1_cifar", {"projects": False, "width": 0.4}),
}


def main() -> None:
    """Train each network from each seed, and write a row for each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=float, default=2)
    parser.add_argument("--size", type=int, default=16, help="side of the images in pixels")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--append", action="store_true", help="keep the rows that are there")
    args = parser.parse_args()
    with np.load(Path(os.environ["CONVATLAS_DATA"]) / SOURCE) as stored:
        data = {part: images(stored, part, args.size) for part in ("train", "test")}
    append = args.append
    for seed in args.seeds:
        for name in args.networks:
            write_results("hyper_networks", [row(data, name, seed, args)], append=append)
            append = True


def images(stored: np.lib.npyio.NpzFile, part: str, size: int) -> TensorDataset:
    """Read one part with its labels, resized."""
    pixels = torch.from_numpy(stored[f"{part}_image"])[:, None]
    if pixels.shape[-1] != size:
        smaller = F.interpolate(pixels.float(), (size, size), mode="bilinear", antialias=True)
        pixels = smaller.round().to(torch.uint8)
    return TensorDataset(pixels, torch.from_numpy(stored[f"{part}_label"]).long())


def row(
    data: dict[str, TensorDataset], name: str, seed: int, args: argparse.Namespace
) -> dict[str, object]:
    """Train one network and ask it for the test images."""
    registered, options = NETWORKS[name]
    torch.manual_seed(seed)
    model = ca.create_model(registered, in_channels=1, num_classes=10, **options)
    cost = ca.count(model, (1, 1, args.size, args.size))
    task = Classify(
        data["train"],
        data["test"],
        num_classes=10,
        augment=lambda batch: batch,
        normalise=normaliser(data["train"]),
    )
    recipe = Recipe(optimizer="sgd", lr=0.1, weight_decay=5e-4, epochs=args.epochs, seed=seed)
    start = time.process_time()
    result = train(model, task, recipe, title=name, validate_every_s=math.inf, way="torch")
    assert result.ended == "epochs"
    accuracy, tested = result.figures["val_accuracy"], len(data["test"])
    return {
        "network": name,
        "model": registered,
        "params": cost.params,
        "macs": cost.macs,
        "size": args.size,
        "epochs": args.epochs,
        "train": len(data["train"]),
        "seed": seed,
        "test": tested,
        "test_accuracy": round(accuracy, 4),
        "standard_error": round(math.sqrt(accuracy * (1 - accuracy) / tested), 4),
        "loss": round(result.figures["val_loss"], 4),
        "cpu_s": round(time.process_time() - start),
    }


def normaliser(data: TensorDataset) -> Callable[[Tensor], Tensor]:
    """Bring pixels to mean 0 and deviation 1 over the training images."""
    deviation, mean = torch.std_mean(data.tensors[0].float())
    return lambda batch: (batch.float() - mean) / deviation


if __name__ == "__main__":
    main()
