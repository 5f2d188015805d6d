"""What a run takes speech, music and noise for, by source: which sounds limit its accuracy.

    python benchmarks/sound_sets.py speech_music_noise OUT
    convatlas fit OUT --model swishnet_wide --epochs 40 --out RUN
    python benchmarks/sound_confusion.py RUN OUT

Sources are the speakers together, where tracks of music come from, and classes of ESC-10. Needs
CONVATLAS_DATA, as `sound_sets.py` says; the rows are those of results/sound_confusion.csv.
"""

import sys
from collections import Counter
from pathlib import Path

from convatlas.pipeline.run import open_run
from machine import write_results
from sound_sets import data_folder, table


def main(run, data):
    kinds = {row["file"]: row["class"] for row in table(data_folder() / "esc10" / "meta.csv")}
    opened = open_run(run)
    files = sorted(Path(data, "test").rglob("*.wav"))
    taken = Counter()
    for file, answer in zip(files, opened.predict(files), strict=True):
        label = file.parent.name
        source = file.stem.rpartition("_")[0]
        if label == "music":
            source = source.partition("_")[0]
        elif label == "noise":
            source = kinds[f"{source}.ogg"]
        else:
            source = "librispeech_mini"
        taken[label, source, answer.label] += 1
    classes = opened.facts["classes"]
    rows = []
    for label, source in sorted({(label, source) for label, source, _ in taken}):
        counts = {name: taken[label, source, name] for name in classes}
        total = sum(counts.values())
        rows.append(
            {"network": opened.config.model, "class": label, "source": source, "clips": total}
            | {f"taken_for_{name}": count for name, count in counts.items()}
            | {"right_percent": round(100 * counts[label] / total, 1)}
        )
    write_results("sound_confusion", sorted(rows, key=lambda row: row["right_percent"]))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
