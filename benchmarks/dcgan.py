"""DCGAN on Fashion-MNIST: does it draw all ten classes, and how far from real images are they?

A small classifier is trained first. It names the class of each drawn image, and its features
(those before the last layer) give a Fréchet distance: *not* the FID of papers, whose features are
Inception's. Beside the trained generator stand one that has learned nothing, and two halves of the
real test images, below which no distance of as many images can be expected to fall.

    python benchmarks/dcgan.py [--epochs 8] [--train 20000] [--minutes 20] [--seed 0] [--append]
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from convatlas.explain.pixels.sheet import image_grid
from convatlas.models import create_model
from convatlas.models.generate.dcgan import DCGANDiscriminator
from convatlas.train.adversarial import train_adversarial
from convatlas.train.adversarial_recipe import AdversarialRecipe
from convatlas.train.update_bn import update_bn
from machine import RESULTS, write_results

SOURCE = "fashion_mnist/fashion_mnist.npz"
COMPARED = 5000  # images on each side of a distance
FEATURES = 64  # numbers that the classifier's last layer reads


def main() -> None:
    """Train both, measure and write a row for each kind of image."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=float, default=8)
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--train", type=int, default=20_000, help="images to learn from")
    parser.add_argument("--minutes", type=float, default=20, help="at most, of wall-clock time")
    parser.add_argument("--real-label", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--append", action="store_true", help="keep the rows that are there")
    args = parser.parse_args()
    arrays = np.load(Path(os.environ["CONVATLAS_DATA"]) / SOURCE)
    train, test = (torch.from_numpy(arrays[f"{part}_image"])[:, None] for part in ("train", "test"))
    labels = {part: torch.from_numpy(arrays[f"{part}_label"]).long() for part in ("train", "test")}
    torch.manual_seed(args.seed)
    classifier = trained_classifier(train, labels["train"])
    accuracy = float((answers(classifier, test).argmax(1) == labels["test"]).float().mean())
    # Shuffled, so that both halves hold all classes.
    test = test[torch.randperm(len(test), generator=torch.Generator().manual_seed(args.seed))]
    reference = test[:COMPARED]
    generator = create_model("dcgan_r28", width=args.width)
    discriminator = DCGANDiscriminator(size=28, width=args.width, in_channels=1)
    untrained = generator_images(generator, statistics=True)
    recipe = AdversarialRecipe(
        epochs=args.epochs,
        batch_size=args.batch_size,
        real_label=args.real_label,
        seed=args.seed,
    )
    start = time.process_time()
    result = train_adversarial(
        generator,
        discriminator,
        train[: args.train],
        recipe,
        limit_s=60 * args.minutes,
        progress=Said(),
    )
    cpu_s = time.process_time() - start
    drawn = generator_images(generator)
    rows = []
    kinds = {"drawn": drawn, "drawn, untrained": untrained, "real, other half": test[-COMPARED:]}
    for kind, images in kinds.items():
        rows.append(
            {
                "images": kind,
                **image_figures(classifier, images, reference),
                "count": COMPARED,
                "classifier_accuracy": round(accuracy, 4),
                "generator_params": sum(p.numel() for p in generator.parameters()),
                "train_images": args.train,
                "batch_size": args.batch_size,
                "epochs": round(result.epochs, 2),
                "steps": result.steps,
                "real_label": args.real_label,
                "seed": args.seed,
                "ended": result.ended,
                "discriminator_accuracy": round(result.figures["accuracy"], 4),
                "diversity": round(result.figures["diversity"], 4),
                "warnings": len(result.warnings),
                "cpu_s": round(cpu_s),
            }
        )
    write_results("dcgan", rows, append=args.append)
    if not args.append:
        shown = drawn[:64].permute(0, 2, 3, 1)
        grid = image_grid([shown[i : i + 16] for i in range(0, 64, 16)])
        small = grid.resize((grid.width // 2, grid.height // 2)).convert("L")
        small.save(RESULTS / "dcgan.png", optimize=True)


class Said:
    """A progress that prints what goes wrong, and how both networks stand now and then."""

    shown = 1  # twentieths of the run that were printed

    def bar(self, title, total=None, unit=""):
        return self

    def update(self, done, total=None, note=""):
        if done * 20 >= self.shown:
            self.shown += 1
            print(f"{done:.0%}: {note}", flush=True)

    def close(self):
        pass

    def say(self, text):
        print(f"warning: {text}", flush=True)


def generator_images(generator, *, statistics=False):
    """Draw what is compared; of an untrained one the running statistics are measured first."""
    if statistics:
        update_bn(generator, (generator.example(128)[0] for _ in range(16)), generator)
    return generator.draw(COMPARED, seed=1)


def trained_classifier(images, labels):
    """Train a small network for two epochs; its last layer reads `FEATURES` numbers."""
    model = nn.Sequential(
        *(nn.Conv2d(1, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU()),
        *(nn.Conv2d(32, FEATURES, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(FEATURES)),
        *(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(FEATURES, 10)),
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(2):
        for part in torch.randperm(len(images)).split(128):
            loss = F.cross_entropy(model(images[part] / 255.0), labels[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.eval()


@torch.no_grad()
def answers(model, images):
    """Run a network on bytes, part by part."""
    return torch.cat([model(part / 255.0) for part in images.split(1000)])


def image_figures(classifier, images, reference):
    """Return classes that are covered, how evenly and surely, and the distance to real images."""
    chances = answers(classifier, images).softmax(1)
    shares = chances.argmax(1).bincount(minlength=10) / len(images)
    features = [answers(classifier[:-1], each).double() for each in (images, reference)]
    return {
        "classes": int((shares >= 0.01).sum()),  # that at least 1 % of the images belong to
        "least_share": round(float(shares.min()), 4),
        "greatest_share": round(float(shares.max()), 4),
        "mean_confidence": round(float(chances.max(1).values.mean()), 4),
        "frechet_classifier_features": round(frechet_distance(*features), 3),
    }


def frechet_distance(x, y):
    """Return the squared Fréchet distance of two normal distributions fitted to rows.

    |m - n|² + tr(A + B - 2 (A B)^½); the trace of the root is the sum of the square roots of the
    eigenvalues of A^½ B A^½, which is symmetric.
    """
    a, b = torch.cov(x.T), torch.cov(y.T)
    values, vectors = torch.linalg.eigh(a)
    root = vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T
    shared = torch.linalg.eigvalsh(root @ b @ root).clamp(min=0).sqrt().sum()
    return float((x.mean(0) - y.mean(0)).square().sum() + a.trace() + b.trace() - 2 * shared)


if __name__ == "__main__":
    main()
