"""Images value by value: does the gated network, which has no blind spot, predict them better?

Fashion-MNIST at its 28 x 28 pixels and 256 levels: the small gated network and a plain one of as
many multiply-adds, trained by `fit` on the same images in the same order for the same steps, in
bits per value of unseen test images. With `--digits` the fact sheet's check: scikit-learn's 1,797
digits of 8 x 8, binary, on the first 1,500; minus the log-likelihood of an image in nats.

    python benchmarks/generation.py [--epochs 2] [--train 5000] [--networks gated plain] [--append]
    python benchmarks/generation.py --digits [--epochs 50]
"""

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import convatlas as ca
from convatlas.models import create_model, register
from convatlas.models.generate.gated_pixelcnn import GatedPixelCNN
from convatlas.models.generate.pixel_network import scaled, value_nats
from convatlas.models.generate.pixelcnn import PixelCNN
from machine import RESULTS, write_results

SOURCE = "fashion_mnist/fashion_mnist.npz"
# Of as many multiply-adds for an image: 67 M and 66 M.
NETWORKS = {
    "gated": (GatedPixelCNN, {"maps": 24, "layers": 7, "kernel": 3, "head_maps": 32}),
    "plain": (PixelCNN, {"maps": 30, "layers": 7, "head_maps": 32}),
}
VAL = 500  # images
DIGITS_TRAIN, INK = 1500, 7  # digits to learn from; values above this are ink


def main() -> None:
    """Measure what is asked for and write the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--train", type=int, default=5000, help="images to learn from")
    parser.add_argument("--test", type=int, default=1000, help="test images, the first ones")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--digits", action="store_true")
    parser.add_argument("--append", action="store_true", help="keep the rows that are there")
    args = parser.parse_args()
    if args.digits:
        write_results("generation_digits", digit_rows(int(args.epochs or 50), args.seed))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        data = write_images(Path(folder) / "fashion", args.train, args.test)
        for name in args.networks:
            rows.append(fashion_row(name, data, args.epochs or 2, args.seed, Path(folder) / name))
    write_results("generation", rows, append=args.append)


def write_images(folder: Path, train: int, test: int) -> Path:
    """Write training, validation and test images as files."""
    arrays = np.load(Path(os.environ["CONVATLAS_DATA"]) / SOURCE)
    train_pixels, test_pixels = arrays["train_image"], arrays["test_image"]
    parts = {
        "train": train_pixels[:train],
        "val": train_pixels[-VAL:],
        "test": test_pixels[:test],
    }
    for split, images in parts.items():
        (folder / split).mkdir(parents=True)
        for number, image in enumerate(images):
            Image.fromarray(image).save(folder / split / f"{number:05d}.png")
    return folder


def fashion_row(name: str, data: Path, epochs: float, seed: int, out: Path) -> dict:
    """Train one network and return its row; its drawn images lie beside the results."""
    cls, options = NETWORKS[name]
    register(f"benchmark_{name}", cls, "generate", **options)
    start = time.process_time()
    run = ca.fit(
        data,
        task="generate",
        model=f"benchmark_{name}",
        epochs=epochs,
        seed=seed,
        recipe={"batch_size": 16},
        out=out,
    )
    config, cpu_s = run.config, time.process_time() - start
    judged = run.evaluate()
    save_sheet(judged.drawn, f"generation_{name}.png")
    shutil.rmtree(out)
    return {
        "network": name,
        "params": config.params,
        "macs": config.macs,
        "train_images": config.counts["train"],
        "epochs": epochs,
        "seed": seed,
        "cpu_s": round(cpu_s),
        "test_images": config.counts["test"],
        **{key: round(value, 4) for key, value in config.figures.items()},
        "onnx": config.proof.passed if config.proof else None,
    }


def save_sheet(drawn, file: str) -> None:
    """Write drawn images and completed halves as one small picture."""
    from convatlas.explain.pixels.sheet import image_grid

    images = list(drawn.images[:16])
    grid = image_grid([images[:8], images[8:], *drawn.halves])
    grid.save(RESULTS / file, optimize=True)


def digit_rows(epochs: int, seed: int) -> list[dict]:
    """Train the fact sheet's network on small digits; a row for each tenth of the epochs."""
    from sklearn.datasets import load_digits

    values = torch.tensor(load_digits().images > INK).long()[:, None]
    train, test = values[:DIGITS_TRAIN], values[DIGITS_TRAIN:]
    torch.manual_seed(seed)
    model = create_model("pixelcnn_mnist", layers=6, head_layers=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    share = (train.float().sum(0) + 1) / (len(train) + 2)
    chance = torch.where(test == 1, share, 1 - share)
    baseline = float(-chance.log().flatten(1).sum(1).mean())
    rows, start = [], time.process_time()
    for epoch in range(1, epochs + 1):
        for batch in train[torch.randperm(len(train))].split(64):
            optimizer.zero_grad()
            value_nats(model(scaled(batch, 2)), batch).mean().backward()
            optimizer.step()
        if epoch % max(1, epochs // 10) == 0:
            with torch.no_grad():
                nats = value_nats(model(scaled(test, 2)), test).flatten(1).sum(1).mean()
            rows.append(
                {
                    "params": sum(p.numel() for p in model.parameters()),
                    "seed": seed,
                    "epoch": epoch,
                    "cpu_s": round(time.process_time() - start, 1),
                    "test_images": len(test),
                    "nats": round(float(nats), 3),
                    "nats_independent": round(baseline, 3),
                }
            )
    return rows


if __name__ == "__main__":
    main()
