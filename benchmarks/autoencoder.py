"""How well does an autoencoder give images back, beside as many principal components?

    python benchmarks/autoencoder.py --latent 16 32 --epochs 20

Fashion-MNIST at 28 x 28 pixels, through `fit`; the principal components are those of the same
training images, in the same run. Writes `results/autoencoder.csv`, and test images above what comes
back as `results/autoencoder_LATENT.png`.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import convatlas as ca
from convatlas.explain.pixels.sheet import image_grid
from generation import write_images
from machine import RESULTS, write_results


def main() -> None:
    """Measure what is asked for and write the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=float, default=20)
    parser.add_argument("--train", type=int, default=10_000, help="images to learn from")
    parser.add_argument("--test", type=int, default=1000, help="test images, the first ones")
    parser.add_argument("--latent", nargs="+", type=int, default=[16, 32])
    parser.add_argument("--networks", nargs="+", default=["conv_autoencoder_mnist"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--append", action="store_true", help="keep the rows that are there")
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        data = write_images(Path(folder) / "fashion", args.train, args.test)
        for name in args.networks:
            for latent in args.latent:
                out = Path(folder) / f"{name}_{latent}"
                rows.append(fashion_row(name, latent, data, args.epochs, args.seed, out))
    write_results("autoencoder", rows, append=args.append)


def fashion_row(name: str, latent: int, data: Path, epochs: float, seed: int, out: Path) -> dict:
    """Train one network and return its row."""
    start = time.process_time()
    run = ca.fit(
        data, task="reconstruct", model=name, epochs=epochs, seed=seed, latent=latent, out=out
    )
    config, cpu_s = run.config, time.process_time() - start
    save_sheet(run.evaluate(), f"autoencoder_{latent}.png")
    shutil.rmtree(out)
    return {
        "network": name,
        "latent": latent,
        "params": config.params,
        "macs": config.macs,
        "train_images": config.counts["train"],
        "epochs": epochs,
        "seed": seed,
        "cpu_s": round(cpu_s),
        "test_images": config.counts["test"],
        **{key: round(value, 6) for key, value in config.figures.items()},
        "doubts": len(config.test.doubts) if config.test else None,
        "onnx": config.proof.passed if config.proof else None,
    }


def save_sheet(evaluation, file: str) -> None:
    """Write test images, and below them what the network and the components give back."""
    shown = evaluation.spaced
    ways = [[each.made[way] for each in shown] for way in shown[0].made]
    image_grid([[each.original for each in shown], *ways]).save(RESULTS / file, optimize=True)


if __name__ == "__main__":
    main()
