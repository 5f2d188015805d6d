"""One run of each task, through the main job alone."""

import csv
import datetime
import gzip
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import convatlas as ca
from convatlas.data import open_images
from convatlas.models import registry
from convatlas.models.generate.conv_autoencoder import ConvAutoencoder
from convatlas.models.generate.gated_pixelcnn import GatedPixelCNN
from convatlas.models.graphs.stgcn import STGCN
from convatlas.models.registry import register
from convatlas.models.segment.unet import UNet
from convatlas.models.translate.bytenet import ByteNet
from convatlas.models.translate.hyper_lstm import HyperLSTM
from convatlas.tasks import TASKS, find_task, register_task

SECONDS = 25


def load(name: str) -> Any:
    """A module that lies beside the tests."""
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"convatlas_tests_{name}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


signals, made_shapes = load("signals"), load("shapes")


@dataclass
class Case:
    """A task with a run of it, and data that the run has not seen."""

    task: Any
    run: Any
    data: Path
    other: Path
    new: Path  # a single file


@pytest.fixture(scope="session")
def case_once(tmp_path_factory):
    """Make the case of a task when a file of tests first asks for it, and keep it for the next.

    What a case registers is taken out again after each file, so that no other test meets it.
    """
    kept = {}

    def case_of(make):
        if make.__name__ not in kept:
            kept[make.__name__] = make(tmp_path_factory.mktemp(make.__name__))
        return kept[make.__name__]

    return case_of


@pytest.fixture(scope="module")
def frequency_task():
    """The second task and its network, known to everything as if a user had registered them."""
    tasks, entries = dict(TASKS), dict(registry._entries)
    register_task(signals.Frequencies())
    register("signal_net", signals.SignalNet, "frequency")
    yield find_task("frequency")
    TASKS.clear()
    TASKS.update(tasks)
    registry._entries.clear()
    registry._entries.update(entries)


@pytest.fixture(scope="module")
def frequency(frequency_task, tmp_path_factory):
    folder = tmp_path_factory.mktemp("frequency")
    data = signals.make_signals(folder / "signals")
    other = signals.make_signals(folder / "others", 30, first=1000)
    run = ca.fit(data, time_limit_s=SECONDS, out=folder / "run")
    return Case(frequency_task, run, data, other, next(other.glob("*.npy")))


@pytest.fixture(scope="module")
def classify(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classify")
    for name, start in (("digits", 0), ("others", 30)):
        write_digits(folder / name, start)
    run = ca.fit(
        folder / "digits", model="lenet5_modern", epochs=20, max_trials=2, out=folder / "run"
    )
    other = folder / "others"
    new = next((other / "zero").glob("*.png"))
    return Case(find_task("classify"), run, folder / "digits", other, new)


def write_digits(folder: Path, start: int) -> None:
    """30 of the zeros and of the ones, as files."""
    split = open_images("digits").splits["train"]
    for label, name in enumerate(("zero", "one")):
        place = folder / name
        place.mkdir(parents=True)
        indices = [i for i, each in enumerate(split.labels) if each == label]
        for index in indices[start : start + 30]:
            Image.fromarray(split.read(index)[0].numpy()).save(place / f"{index}.png")


@pytest.fixture(scope="module")
def audio(tmp_path_factory):
    pytest.importorskip("soundfile")
    pytest.importorskip("soxr")
    folder = tmp_path_factory.mktemp("audio")
    for name, start in (("sounds", 0), ("others", 30)):
        write_sounds(folder / name, start)
    data, other = folder / "sounds", folder / "others"
    run = ca.fit(data, model="lenet5_modern", epochs=6, max_trials=1, out=folder / "run")
    return Case(find_task("audio"), run, data, other, next((other / "tone").glob("*.wav")))


def write_sounds(folder: Path, start: int) -> None:
    """30 tones and 30 noises of half a second, each another one."""
    import soundfile

    for label in ("noise", "tone"):
        (folder / label).mkdir(parents=True)
        for number in range(start, start + 30):
            random = np.random.default_rng([number, label == "tone"])
            sound = 0.05 * random.normal(size=4000)
            if label == "tone":
                sound += 0.4 * np.sin(np.arange(4000) * random.uniform(0.2, 1.5))
            soundfile.write(folder / label / f"{number}.wav", sound, 8000)


@pytest.fixture(scope="session")
def shapes():
    return made_shapes


@pytest.fixture(scope="module")
def detect(case_once):
    pytest.importorskip("faster_coco_eval")
    register("shape_net", made_shapes.ShapeNet, "detect")
    yield case_once(make_detect)
    del registry._entries["shape_net"]


def make_detect(folder: Path) -> Case:
    data = made_shapes.make_shapes(folder / "shapes", 40)
    other = made_shapes.make_shapes(folder / "others", 8, first=100)
    run = ca.fit(data, model="shape_net", epochs=24, out=folder / "run")
    return Case(find_task("detect"), run, data, other, other / "images" / "100.png")


@pytest.fixture(scope="module")
def segment(case_once):
    register("unet_tiny", UNet, "segment", width=1 / 8, depth=2, padding="same", norm="batch")
    yield case_once(make_segment)
    del registry._entries["unet_tiny"]


def make_segment(folder: Path) -> Case:
    data, other = folder / "discs", folder / "others"
    write_discs(data, 30, first=0)
    write_discs(other, 8, first=100)
    run = ca.fit(data, model="unet_tiny", epochs=30, out=folder / "run")
    return Case(find_task("segment"), run, data, other, other / "images" / "100.png")


def write_discs(folder: Path, count: int, first: int) -> None:
    """Light discs on dark noise, with their masks; no side like the other."""
    for number in range(first, first + count):
        random = np.random.default_rng(number)
        y, x = np.mgrid[:40, :48]
        mask = np.zeros((40, 48), dtype=bool)
        for _ in range(3):
            row, column, radius = random.integers((6, 6, 4), (34, 42, 9))
            mask |= (y - row) ** 2 + (x - column) ** 2 < radius**2
        image = (60 + 110 * mask + random.normal(0, 20, mask.shape)).clip(0, 255)
        for name, pixels in (("images", image), ("masks", 255 * mask)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number:03d}.png")


@pytest.fixture(scope="module")
def forecast(case_once):
    register("stgcn_tiny", STGCN, "forecast", width=1 / 8)
    yield case_once(make_forecast)
    del registry._entries["stgcn_tiny"]


def make_forecast(folder: Path) -> Case:
    data, other = folder / "sensors.csv", folder / "others.csv"
    write_sensors(data, 200, seed=0)
    write_sensors(other, 60, seed=1)
    # One step ahead: of more, windows reach from one part into the next and count as seen.
    run = ca.fit(
        data, model="stgcn_tiny", epochs=2, out=folder / "run", history=9, horizon=1, unit=""
    )
    return Case(find_task("forecast"), run, data, other, other)


def write_sensors(file: Path, steps: int, seed: int) -> None:
    """Four sensors with a daily wave, hourly, a few readings missing."""
    random, hour = np.random.default_rng(seed), np.arange(steps)
    table = 10 + 3 * np.sin(2 * np.pi * hour[:, None] / 24 + np.arange(4))
    table += random.normal(0, 0.2, table.shape)
    table[random.random(table.shape) < 0.05] = np.nan
    with file.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["time", *"abcd"])
        start = datetime.datetime(2024, 1, 1)
        for row, values in enumerate(table):
            cells = ["" if np.isnan(value) else f"{value:.3f}" for value in values]
            writer.writerow([start + datetime.timedelta(hours=row), *cells])


@pytest.fixture(scope="module")
def translate(case_once):
    pytest.importorskip("sacrebleu")
    register("bytenet_tiny", ByteNet, "translate", hidden=16, sets=1, dilations=(1, 2))
    yield case_once(make_translate)
    del registry._entries["bytenet_tiny"]


def make_translate(folder: Path) -> Case:
    data, other, new = (folder / name for name in ("pairs.tsv", "others.csv", "new.txt.gz"))
    write_sentences(data, range(0, 300), "\t")
    write_sentences(other, range(300, 340), ",")
    new.write_bytes(gzip.compress(b"the old dog\n"))
    run = ca.fit(data, model="bytenet_tiny", epochs=8, out=folder / "run")
    return Case(find_task("translate"), run, data, other, new)


WORDS = {"red": "röd", "car": "bil", "sees": "ser", "old": "gammal", "the": "den", "dog": "hund"}


def write_sentences(file: Path, numbers: range, separator: str) -> None:
    """Sentences of four words, each another one, translated word by word."""
    lines = [f"en{separator}sv"]
    for number in numbers:
        sentence = [list(WORDS)[number // 6**place % 6] for place in range(4)]
        lines.append(separator.join(" ".join(s) for s in (sentence, [WORDS[w] for w in sentence])))
    file.write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture(scope="module")
def generate(case_once):
    register("gated_tiny", GatedPixelCNN, "generate", maps=8, layers=3, kernel=3, head_maps=8)
    yield case_once(make_generate)
    del registry._entries["gated_tiny"]


def make_generate(folder: Path) -> Case:
    data, other = folder / "loose", folder / "others"
    write_small_digits(data, 80, first=0)
    write_small_digits(other, 10, first=80)
    run = ca.fit(data, task="generate", model="gated_tiny", epochs=12, levels=4, out=folder / "run")
    return Case(find_task("generate"), run, data, other, other / "0080.png")


@pytest.fixture(scope="module")
def reconstruct(case_once):
    register("autoencoder_tiny", ConvAutoencoder, "reconstruct", maps=8, stages=2)
    yield case_once(make_reconstruct)
    del registry._entries["autoencoder_tiny"]


def make_reconstruct(folder: Path) -> Case:
    data, other = folder / "loose", folder / "others"
    write_small_digits(data, 80, first=0)
    write_small_digits(other, 10, first=80)
    run = ca.fit(
        data, task="reconstruct", model="autoencoder_tiny", epochs=12, latent=6, out=folder / "run"
    )
    return Case(find_task("reconstruct"), run, data, other, other / "0080.png")


def write_small_digits(folder: Path, count: int, first: int) -> None:
    """Digits of 8 x 9 pixels, all in one folder."""
    split = open_images("digits").splits["train"]
    folder.mkdir()
    for number in range(first, first + count):
        image = Image.fromarray(split.read(37 * number)[0].numpy())
        image.resize((8, 9)).save(folder / f"{number:04d}.png")


@pytest.fixture(scope="module")
def text(case_once):
    return case_once(make_text)


def make_text(folder: Path) -> Case:
    data, other = folder / "reviews", folder / "others"
    write_reviews(data, 60, seed=0)
    write_reviews(other, 10, seed=1)
    run = ca.fit(data, model="text_cnn_small", epochs=20, max_trials=1, out=folder / "run")
    return Case(find_task("text"), run, data, other, other / "good" / "0.txt")


def write_reviews(folder: Path, count: int, seed: int) -> None:
    """Texts, a file each, that one word of two makes good or bad."""
    random = np.random.default_rng(seed)
    for label, telling in (("good", ["fine", "lovely"]), ("bad", ["dull", "poor"])):
        (folder / label).mkdir(parents=True)
        for number in range(count):
            words = list(random.choice(["the", "a", "film", "story", "was", "it"], 8))
            words.insert(random.integers(8), random.choice(telling))
            (folder / label / f"{number}.txt").write_text(" ".join(words) + f" {seed}{number}\n")


@pytest.fixture(scope="module")
def language(tmp_path_factory):
    folder = tmp_path_factory.mktemp("language")
    data, other, new = folder / "lines.txt", folder / "others.txt", folder / "new.txt"
    write_lines(data, range(0, 500))
    write_lines(other, range(500, 540))
    new.write_text("the old dog sees\n")
    register("lstm_tiny", HyperLSTM, "language", hidden=32, small=0)
    run = ca.fit(data, model="lstm_tiny", epochs=4, out=folder / "run")
    yield Case(find_task("language"), run, data, other, new)
    del registry._entries["lstm_tiny"]


def write_lines(file: Path, numbers: range) -> None:
    """Lines of five words, each line another one."""
    words = list(WORDS)
    lines = [" ".join(words[number // 6**place % 6] for place in range(5)) for number in numbers]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


FOR_IMAGES = ["classify", "segment", "detect", "generate", "reconstruct"]


@pytest.fixture(
    params=[*FOR_IMAGES, "audio", "forecast", "translate", "text", "language", "frequency"]
)
def case(request):
    return request.getfixturevalue(request.param)
