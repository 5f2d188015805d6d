"""Which language is a sentence in: do networks tell it better than pairs of letters?

Sentences of everyday talk (Tatoeba: English, Swedish) and descriptions of pictures (Multi30k:
English, German, French); English comes from both, so that the kind of sentence does not tell all of
it. Each network reads characters and is trained by `fit`. Beside it stands naive Bayes on pairs of
characters, made from the same training sentences. Both are judged on the held-out sentences, whole
and by their first ten characters, which is harder.

    python benchmarks/language_identification.py [--epochs 3] [--networks text_cnn_small] [--append]
"""

import argparse
import csv
import gzip
import math
import os
import random
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import convatlas as ca
from machine import write_results

COUNTS = {"train": 4000, "val": 400, "test": 500}  # sentences of each language and source
SOURCES = {  # file: column and language
    "tatoeba_en_sv.tsv.gz": {"en": "English", "target": "Swedish"},
    "multi30k_en_de_fr.tsv.gz": {"en": "English", "de": "German", "fr": "French"},
}
FIRST = 10  # characters of the harder question
Row = tuple[str, str, str]  # split, text, label


def sentences(folder: Path) -> Iterator[Row]:
    """Yield sentences of each source, language and split, drawn with one seed."""
    for file, columns in SOURCES.items():
        with gzip.open(folder / file, "rt", encoding="utf-8", newline="") as opened:
            rows = list(csv.DictReader(opened, delimiter="\t", quoting=csv.QUOTE_NONE))
        for column, language in columns.items():
            for split, count in COUNTS.items():
                texts = sorted({row[column].strip() for row in rows if row["split"] == split})
                for text in random.Random(0).sample(texts, min(count, len(texts))):
                    yield split, text, language


class PairsOfCharacters:
    """Naive Bayes on pairs of characters, one added to each count."""

    def __init__(self, rows: Iterable[tuple[str, str]]):
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        for text, label in rows:
            self.counts[label].update(self.pairs(text))
        self.kinds = len(set().union(*self.counts.values())) + 1
        self.totals = {label: sum(found.values()) for label, found in self.counts.items()}

    @staticmethod
    def pairs(text: str) -> list[str]:
        """Return each pair of characters, a space around the text."""
        padded = f" {text} "
        return [padded[i : i + 2] for i in range(len(padded) - 1)]

    def answer(self, text: str) -> str:
        """Return the most probable language; all are as frequent."""
        pairs = self.pairs(text)

        def score(label: str) -> float:
            counts, total = self.counts[label], self.totals[label] + self.kinds
            return sum(math.log((counts[pair] + 1) / total) for pair in pairs)

        return max(sorted(self.counts), key=score)


def share(answers: Iterable[str], rows: list[Row]) -> float:
    """Return the share of the answers that are right."""
    return sum(a == row[2] for a, row in zip(answers, rows, strict=True)) / len(rows)


def main() -> None:
    """Train each network, and write a row a network beside naive Bayes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--networks", nargs="+", default=["text_cnn_small", "dcnn_sentence"])
    parser.add_argument("--append", action="store_true", help="keep the rows that are there")
    args = parser.parse_args()
    rows = list(sentences(Path(os.environ["CONVATLAS_DATA"]) / "translation"))
    test = [row for row in rows if row[0] == "test"]
    begun = [row[1][:FIRST].strip() for row in test]
    bayes = PairsOfCharacters((text, label) for split, text, label in rows if split == "train")
    whole_share = share([bayes.answer(row[1]) for row in test], test)
    begun_share = share([bayes.answer(text) for text in begun], test)
    keep = args.append
    for name in args.networks:
        with tempfile.TemporaryDirectory() as folder:
            file, start = Path(folder) / "sentences.csv", time.process_time()
            with file.open("w", newline="", encoding="utf-8") as opened:
                csv.writer(opened).writerows([("split", "text", "label"), *rows])
            run = ca.fit(
                file,
                model=name,
                epochs=args.epochs,
                vocabulary="characters",
                out=Path(folder) / "run",
            )
            config = run.config
            row = {
                "network": name,
                "params": config.params,
                "macs": config.macs,
                "epochs": args.epochs,
                "cpu_s": round(time.process_time() - start),
                "train": sum(row[0] == "train" for row in rows),
                "test": len(test),
                "accuracy": round(config.figures["accuracy"], 4),
                "bayes_accuracy": round(whole_share, 4),
                "accuracy_10": round(share([str(a.label) for a in run.predict(begun)], test), 4),
                "bayes_accuracy_10": round(begun_share, 4),
                "onnx": config.proof.passed if config.proof else None,
            }
        print(row, flush=True)
        write_results("language_identification", [row], append=keep)
        keep = True


if __name__ == "__main__":
    main()
