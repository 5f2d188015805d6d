"""What public weights bring to the plain command, against logistic regression on the same features.

`clothing`: phone photographs of ten kinds of clothes, 180 s. `imagenet_six`: ImageNet pictures in
six coarse classes, which the weights have most likely seen, 60 s. Both within 5 M parameters and
500 M multiply-adds. The peer is what one would write by hand: EfficientNet-Lite0 at 160 pixels in
torch, then scikit-learn's logistic regression. Everything is timed from the start of a process.

Needs CONVATLAS_DATA, a folder that holds `clothing/` and `imagenet_samples/`, and the packages of
weights; writes `results/transfer.csv`. `python benchmarks/transfer.py [clothing] [imagenet_six]`.
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import write_results
from pretrained import COARSE, labelled

SECONDS = {"clothing": 180, "imagenet_six": 60}
GOAL_PERCENT = {"clothing": 86.0, "imagenet_six": 92.0}
BUDGET = ["--max-params", "5M", "--max-macs", "500M"]
PEER, PEER_SIZE, AT_ONCE = "efficientnet_lite0", 160, 32


def main(argv):
    root = Path(os.environ.get("CONVATLAS_DATA", ""))
    if "CONVATLAS_DATA" not in os.environ or not (root / "clothing").is_dir():
        print("skipped: CONVATLAS_DATA names no folder with clothing/ and imagenet_samples/")
        return
    if argv[:1] == ["peer"]:
        print(json.dumps(peer(*argv[1:])))
        return
    with tempfile.TemporaryDirectory() as place:
        rows = [measured(name, root, Path(place)) for name in argv or SECONDS]
    write_results("transfer", rows)


def measured(name, root, place):
    source = root / "clothing" if name == "clothing" else six_classes(root, place / name)
    load, out = os.getloadavg()[0], place / f"run-{name}"
    command = ["fit", source, *BUDGET, "--time-limit", SECONDS[name], "--out", out, "--json"]
    run, seconds = timed("-m", "convatlas.cli.main", *command)
    theirs, their_seconds = timed(__file__, "peer", out)
    return {
        "data": name,
        "network": run["model"],
        "input_px": run["input"][-1],
        "test_images": theirs["test_images"],
        "accuracy_percent": round(100 * run["accuracy"], 2),
        "goal_percent": GOAL_PERCENT[name],
        "seconds": round(seconds, 1),
        "time_limit_s": SECONDS[name],
        "peer": theirs["peer"],
        "peer_accuracy_percent": round(100 * theirs["accuracy"], 2),
        "peer_seconds": round(their_seconds, 1),
        "accuracy_over_peer": round(run["accuracy"] / theirs["accuracy"], 3),
        "load_before": round(load, 1),
        "load_after": round(os.getloadavg()[0], 1),
    }


def timed(*words):
    """What a Python process prints as JSON, and its seconds."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *map(str, words)], stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout), time.perf_counter() - start


def six_classes(root, place):
    """A CSV file of pictures and their coarse classes, beside links to the pictures."""
    place.mkdir()
    with (place / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label"])
        for kind, ranges in COARSE.items():
            for picture, label in labelled(root / "imagenet_samples"):
                if any(first <= label <= last for first, last in ranges):
                    (place / picture.name).symlink_to(picture)
                    writer.writerow([picture.name, kind])
    return place / "labels.csv"


def peer(run):
    """Logistic regression on frozen features, on the splits of the run."""
    import torch

    import convatlas as ca
    from convatlas.data import load_split

    network = ca.create_model(PEER, pretrained=True, num_classes=0).eval()
    prepare = network.public_weights.preprocess(size=PEER_SIZE)
    data = load_split(Path(run) / "split.json", None)
    features, labels = {}, {}
    with torch.inference_mode():
        for name in ("train", "test"):
            split, found = data.splits[name], []
            for start in range(0, len(split), AT_ONCE):
                rows = range(start, min(start + AT_ONCE, len(split)))
                images = [prepare(split.read(i).permute(1, 2, 0)[None]) for i in rows]
                found.append(network(torch.cat(images)))
            features[name], labels[name] = torch.cat(found).numpy(), split.labels
    try:
        from sklearn.linear_model import LogisticRegression

        solver, words = LogisticRegression(max_iter=1000), "scikit-learn"
        solver.fit(features["train"], labels["train"])
        answers = solver.predict(features["test"]).tolist()
    except ImportError:
        from convatlas.train.linear_head import fit_linear_head

        known = torch.from_numpy(features["train"]), torch.tensor(labels["train"])
        head, words = fit_linear_head(*known, len(data.classes)), "our own regression"
        answers = head.logits(torch.from_numpy(features["test"])).argmax(1).tolist()
    right = sum(a == b for a, b in zip(answers, labels["test"], strict=True))
    return {
        "peer": f"{PEER} {PEER_SIZE} px, torch, {words}",
        "accuracy": right / len(answers),
        "test_images": len(answers),
    }


if __name__ == "__main__":
    main(sys.argv[1:])
