"""Translate English to Swedish: does a network learn it in minutes, and which convolution pays?

Sentences of Tatoeba with their own split. Each network is trained by `fit` for the same number of
passes and judged on the test split by greedy decoding, beside copying the source and writing the
training part's most frequent sentence. `slicenet` with super-separable steps stands beside the same
network of full convolutions, so narrow that both take as many multiply-adds; both read subwords, as
the paper has it, `bytenet` characters, as its paper has it.

Rows are kept as they are made; a network that has its row is not trained again.

    python benchmarks/translation.py [--epochs 3] [--seeds 0] [--networks NAME ...]
"""

import argparse
import csv
import os
import tempfile
import time
from pathlib import Path

import convatlas as ca
from convatlas.models.registry import register
from convatlas.models.translate.bytenet import ByteNet
from convatlas.models.translate.slicenet import SliceNet
from convatlas.train.translation_figures import translation_figures
from machine import RESULTS, write_results

SOURCE = "translation/tatoeba_en_sv.tsv.gz"
SMALL = {"encoder_modules": 2, "decoder_modules": 2, "kernels": (3, 7, 15, 31), "dropout": 0.1}
SUPER = {"separability": "super", "groups": (3, 2)}
SUBWORDS = {"vocabulary": "subwords", "subwords": 2000}
NETWORKS = {  # class, its options, those of the data
    "slicenet_super": (SliceNet, {**SMALL, **SUPER, "depth": 144}, SUBWORDS),
    "slicenet_full_convolution": (
        SliceNet,
        {**SMALL, "separability": "none", "depth": 44},
        SUBWORDS,
    ),
    "bytenet": (ByteNet, {"hidden": 40, "sets": 2}, {"vocabulary": "characters"}),
}
NAME = "translation"


def main() -> None:
    """Train each network with each seed, and write a row for each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    args = parser.parse_args()
    for seed in args.seeds:
        for name in args.networks:
            key = {"network": name, "seed": seed, "epochs": args.epochs, "batch": args.batch}
            if not _is_there(key):
                row = key | measured(name, seed=seed, epochs=args.epochs, batch=args.batch)
                write_results(NAME, [row], append=True)


def measured(name: str, *, seed: int, epochs: float, batch: int) -> dict:
    """Train and judge one network."""
    cls, options, reading = NETWORKS[name]
    register(f"{name}_measured", cls, "translate", **options)
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        run = ca.fit(
            Path(os.environ["CONVATLAS_DATA"]) / SOURCE,
            model=f"{name}_measured",
            epochs=epochs,
            recipe={"batch_size": batch},
            seed=seed,
            out=Path(folder) / "run",
            **reading,
        )
        cpu_s = time.process_time() - start
        beam = run.predictor().translate(run.data().splits["test"].sources, beam=4)
        references = run.data().splits["test"].references
        config, figures = run.config, run.config.figures
        row = {
            "vocabulary": reading["vocabulary"],
            "params": config.params,
            "macs": config.macs,
            "steps": round(epochs * -(-config.counts["train"] // batch)),
            "cpu_s": round(cpu_s),
            "sentences": config.counts["test"],
            "equal_percent": round(100 * figures["equal"], 2),
            "onnx": config.proof.passed if config.proof else None,
        }
    wide = translation_figures([each.text for each in beam], references)
    for key in ("chrf", "bleu"):
        row |= {key: round(figures[key], 2), f"{key}_beam_4": round(wide[key], 2)}
    return row | {key: round(figures[key], 2) for key in ("chrf_copied", "chrf_frequent")}


def _is_there(key: dict) -> bool:
    """Return whether the file of results has a row of this network, seed and training."""
    path = RESULTS / f"{NAME}.csv"
    if not path.exists():
        return False
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return any(all(row[name] == str(value) for name, value in key.items()) for row in rows)


if __name__ == "__main__":
    main()
