"""A few hundred real digits as PNG files and a run fitted to them; a run made up by hand."""

import hashlib

import pytest
import torch
from PIL import Image

import convatlas as ca
from convatlas.cost.report import LayerCost
from convatlas.data import ImageData, ScanReport, Split, open_images
from convatlas.data.images.image_data import PixelStore
from convatlas.deploy.parity import Parity
from convatlas.explain.classes.evaluation import Evaluation
from convatlas.metric import ACCURACY
from convatlas.pipeline.config import RunConfig, Trial
from convatlas.pipeline.fit import fit
from convatlas.search.budget import Budget

BUDGET = {"params": 80_000, "macs": 1.5e6}
CLASSES = ['<script>alert("1")</script>', "zwei\nZeilen & <b>", '\'; drop "table" </title>']


@pytest.fixture(scope="session")
def digit_files(tmp_path_factory):
    """Folder CLASS/files: 40 of each digit, and one file that is broken."""
    folder = tmp_path_factory.mktemp("digit files")
    train = open_images("digits").splits["train"]
    seen = dict.fromkeys(range(10), 0)
    for index, label in enumerate(train.labels):
        if seen[label] < 40:
            place = folder / f"digit {label}"
            place.mkdir(exist_ok=True)
            Image.fromarray(train.read(index)[0].numpy()).save(place / f"{index:05d} ü.png")
            seen[label] += 1
    (folder / "digit 3" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


def tree_hash(folder):
    """What changes with any file or folder below, with its kind, or with when it was changed."""
    found = hashlib.sha256()
    for path in sorted([folder, *folder.rglob("*")]):
        state = path.lstat()
        found.update(f"{path} {state.st_mode} {state.st_mtime_ns}".encode())
        if path.is_file():
            found.update(path.read_bytes())
    return found.hexdigest()


@pytest.fixture(scope="session")
def hashed_tree():
    return tree_hash


@pytest.fixture(scope="session")
def hash_before_fit(digit_files):
    return tree_hash(digit_files)


@pytest.fixture(scope="session")
def run(digit_files, hash_before_fit, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "digits"
    return fit(digit_files, budget=ca.Budget(**BUDGET), time_limit_s=40, out=out)


def contenders() -> list[Trial]:
    rows = [
        ("small_net", 0.97, 61_000, 417_000, "chosen", ""),
        ("middle_net", 0.965, 75_000, 300_000, "trained", ""),
        ("other_net", 0.91, 80_000, 900_000, "dropped after round 1", ""),
        (
            "large_net",
            None,
            250_000,
            9_000_000,
            "over budget",
            "params 250,000 is 2.5 x the budget",
        ),
        ("unseen_net", None, 90_000, 5_000_000, "not trained", "others <looked> better"),
        ("unknown_net", None, None, None, "over budget", "by its published count"),
        (
            "diverged_net",
            None,
            70_000,
            800_000,
            "diverged",
            "its loss became infinite or not a number",
        ),
    ]
    return [
        Trial(
            model=model,
            options={"width": 0.5},
            example={"size": 28},
            input="28 px",
            params=params,
            macs=macs,
            figures={} if accuracy is None else {"accuracy": accuracy},
            epochs=3.25 if accuracy else 0,
            status=status,
            reason=reason,
        )
        for model, accuracy, params, macs, status, reason in rows
    ]


@pytest.fixture
def leaderboard():
    return contenders()


@pytest.fixture
def config():
    return RunConfig(
        version="0.1.0",
        created="2026-01-02T03:04:05+00:00",
        task="classify",
        source="pictures of <mine> & 'yours'",
        seed=7,
        facts={"classes": CLASSES, "channels": 3, "height": 12, "width": 16, "reading": {}},
        model="small_net",
        options={"width": 0.5},
        example={"size": 28},
        input=[3, 28, 28],
        settings={
            "size": 28,
            "mean": [0.4, 0.5, 0.6],
            "std": [0.2, 0.2, 0.2],
            "crop": None,
            "filter": "bilinear",
        },
        budget=Budget(params=100_000, latency_s=0.01),
        recipe={"lr": 0.1, "augmentation": "photo"},
        counts={"train": 9, "val": 3, "test": 6},
        params=61_000,
        macs=417_000,
        activation_bytes=40_000,
        peak_bytes=289_000,
        latency_s=0.00048,
        threads=1,
        file_bytes=251_000,
        metric=ACCURACY,
        figures={"accuracy": 0.5},
        proof=Parity(
            format="onnx",
            samples=6,
            max_difference=4.2e-7,
            agreement=1.0,
            tolerance=1e-4,
            runtime="ONNX Runtime 1.2.3, CPU",
        ),
        leaderboard=contenders(),
    )


def make_data(classes: int = len(CLASSES), each: int = 3) -> ImageData:
    names = CLASSES if classes == len(CLASSES) else [f"class {i:03d}" for i in range(classes)]
    count = classes * each
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 3, 12, 16), dtype=torch.uint8, generator=random)
    labels = [i % classes for i in range(count)]
    files = [f"<img src=x>\n&/{i}" for i in range(count)]
    split = Split(files, labels, PixelStore(pixels))
    per_class = {name: dict.fromkeys(names, each) for name in ("train", "val", "test")}
    scan = ScanReport(
        total=count,
        readable=count,
        sizes={"width": (16, 16, 16), "height": (12, 12, 12)},
        per_class=per_class,
    )
    splits = {"train": split, "val": split, "test": split}
    return ImageData("made", "made", tuple(names), 3, 12, 16, splits, scan, 7)


@pytest.fixture
def data():
    return make_data()


@pytest.fixture
def build_data():
    return make_data


def answer(data: ImageData, wrong: int) -> Evaluation:
    """Certain answers, the first so many of them wrong by one class."""
    test, classes = data.splits["test"], len(data.classes)
    labels = torch.tensor(test.labels)
    given = labels.clone()
    given[:wrong] = (given[:wrong] + 1) % classes
    probabilities = torch.full((len(labels), classes), 0.1 / (classes - 1))
    probabilities[torch.arange(len(labels)), given] = 0.9
    return Evaluation(labels, probabilities, test.files, data.classes)


@pytest.fixture
def answered():
    return answer


@pytest.fixture
def log():
    return [
        {
            "epoch": epoch,
            "step": 10 * epoch,
            "seconds": 1.5 * epoch,
            "lr": 0.1,
            "train_loss": loss,
            "val_loss": loss / 2,
            "val_accuracy": 1 - loss / 3,
        }
        for epoch, loss in ((1, 2.0), (2, 1.5), (2.5, 0.75))
    ]


@pytest.fixture
def layers():
    return (
        LayerCost("features.0", "Conv2d", (1, 8, 28, 28), 224, 169_344, 25_088),
        LayerCost("features.1", "BatchNorm2d", (1, 8, 28, 28), 16, 0, 0),
        LayerCost("head", "Linear", (1, 3), 27, 24, 12),
    )
