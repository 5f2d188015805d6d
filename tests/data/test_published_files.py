"""MNIST's, CIFAR's and SVHN's own files: what is read, and what is refused."""

import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from convatlas.data import load_split, open_images, open_test
from convatlas.data.packed.recognise import holds_packed
from convatlas.data.sources.duplicates import array_digest, pixel_digest
from convatlas.errors import DataError
from convatlas.tasks import recognise_task

CIFAR_NAMES = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
]


def numbers(shape, seed=0, high=256):
    return np.random.default_rng(seed).integers(0, high, shape, dtype=np.uint8)


def write_idx(path: Path, array: np.ndarray) -> None:
    content = (
        bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes() + array.tobytes()
    )
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def make_idx(folder: Path, gz: str = "", count: int = 60) -> dict[str, np.ndarray]:
    """Files as MNIST has them, of 8 x 6 pixels and five classes."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {}
    for seed, (name, images) in enumerate({"train": count, "t10k": 20}.items()):
        arrays[name] = numbers((images, 8, 6), seed)
        write_idx(folder / f"{name}-images-idx3-ubyte{gz}", arrays[name])
        labels = np.arange(images, dtype=np.uint8) % 5
        write_idx(folder / f"{name}-labels-idx1-ubyte{gz}", labels)
    return arrays


def cifar_rows(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    return numbers((count, 3072), seed), (np.arange(count) % 10).astype(np.uint8)


def make_cifar(folder: Path) -> None:
    folder.mkdir(parents=True)
    for seed, name in enumerate(("data_batch_1", "data_batch_2", "test_batch")):
        pixels, labels = cifar_rows(40, seed)
        (folder / f"{name}.bin").write_bytes(np.hstack([labels[:, None], pixels]).tobytes())
    (folder / "batches.meta.txt").write_text("\n".join(CIFAR_NAMES) + "\n\n")


def make_cifar_python(folder: Path) -> None:
    """Pickles as Python 2 wrote them: protocol 2, keys of bytes."""
    folder.mkdir(parents=True)
    for seed, name in enumerate(("data_batch_1", "data_batch_2", "test_batch")):
        pixels, labels = cifar_rows(40, seed)
        content = {b"batch_label": b"a batch", b"labels": labels.tolist(), b"data": pixels}
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    names = [name.encode() for name in CIFAR_NAMES]
    meta = {b"num_cases_per_batch": 40, b"label_names": names, b"num_vis": 3072}
    (folder / "batches.meta").write_bytes(pickle.dumps(meta, protocol=2))


@pytest.mark.parametrize("gz", ["", ".gz"])
def test_mnist_is_read_without_a_flag(tmp_path, gz):
    arrays = make_idx(tmp_path / "mnist", gz)
    assert recognise_task(tmp_path / "mnist").name == "classify"
    data = open_images(tmp_path / "mnist")
    assert data.classes == ("0", "1", "2", "3", "4")
    assert (data.channels, data.height, data.width) == (1, 8, 6)
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 50,
        "val": 10,
        "test": 20,
    }
    test = data.splits["test"]
    assert test.files[7] == "t10k-images/07"
    assert (test.read(7)[0].numpy() == arrays["t10k"][7]).all()
    assert [test.labels[row] for row in range(6)] == [0, 1, 2, 3, 4, 0]


def test_a_run_finds_its_images_again(tmp_path):
    make_idx(tmp_path / "mnist")
    data = open_images(tmp_path / "mnist", seed=3)
    data.save(tmp_path / "split.json")
    again = load_split(tmp_path / "split.json")
    for name, split in data.splits.items():
        assert again.splits[name].files == split.files
        assert (again.splits[name].read(3) == split.read(3)).all()
    make_idx(tmp_path / "mnist", count=40)
    with pytest.raises(DataError, match="must still hold the images"):
        load_split(tmp_path / "split.json")


def test_folders_of_archives_are_looked_into(tmp_path):
    make_idx(tmp_path / "data/MNIST/raw")
    assert len(open_images(tmp_path / "data").splits["test"]) == 20
    make_idx(tmp_path / "data/KMNIST/raw")
    with pytest.raises(DataError, match=r"must hold one data set, got .*KMNIST/raw"):
        open_images(tmp_path / "data")
    assert holds_packed(tmp_path / "data")


def test_a_file_alone_is_split(tmp_path):
    make_idx(tmp_path)
    data = open_images(tmp_path / "train-images-idx3-ubyte")
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 40,
        "val": 10,
        "test": 10,
    }
    tested = open_test(tmp_path / "t10k-images-idx3-ubyte", data.classes)
    assert len(tested.splits["test"]) == 20


def test_classes_may_have_names(tmp_path):
    make_idx(tmp_path)
    (tmp_path / "classes.txt").write_text("shirt\nshoe\nhat\nbag\ncoat\n", encoding="utf-8")
    assert open_images(tmp_path).classes == ("bag", "coat", "hat", "shirt", "shoe")
    (tmp_path / "classes.txt").write_text("shirt\nshoe\n", encoding="utf-8")
    with pytest.raises(DataError, match="image 2 has the class 2, but only 2 classes have names"):
        open_images(tmp_path)


@pytest.mark.parametrize("gz", ["", ".gz"])
def test_truncated_idx_files_are_refused(tmp_path, gz):
    make_idx(tmp_path, gz)
    path = tmp_path / f"train-images-idx3-ubyte{gz}"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=f"train-images-idx3-ubyte{gz}: truncated: "):
        open_images(tmp_path)
    path.write_bytes(whole[:9])
    with pytest.raises(DataError, match="truncated: "):
        open_images(tmp_path)


def test_idx_headers_are_held_against_their_files(tmp_path):
    arrays = make_idx(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(DataError, match=r"says 60 x 8 x 6, which takes 2,880 bytes, got 2,879"):
        open_images(tmp_path)
    path.write_bytes(whole + b"x")
    with pytest.raises(DataError, match="longer than its header says"):
        open_images(tmp_path)
    path.write_bytes(b"\0\0\x0d\3" + whole[4:])
    with pytest.raises(DataError, match=r"bytes 0 0 8 3 of an idx file, got 0 0 13 3"):
        open_images(tmp_path)
    write_idx(path, arrays["train"][:50])
    with pytest.raises(DataError, match=r"a label for each image .*, got 60 for 50"):
        open_images(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="must have its labels in train-labels-idx1-ubyte"):
        open_images(tmp_path)


@pytest.mark.parametrize("make", [make_cifar, make_cifar_python])
def test_cifar_is_read_without_a_flag(tmp_path, make):
    make(tmp_path / "cifar/batches")
    assert recognise_task(tmp_path / "cifar").name == "classify"
    data = open_images(tmp_path / "cifar")
    assert data.classes == tuple(CIFAR_NAMES)
    sizes = {name: len(split) for name, split in data.splits.items()}
    assert sizes == {"train": 70, "val": 10, "test": 40}
    test = data.splits["test"]
    expected = cifar_rows(40, 2)[0][11].reshape(3, 32, 32)
    assert test.files[11] == "test_batch/11"
    assert (test.read(11).numpy() == expected).all()
    assert test.labels[11] == 1


def test_truncated_cifar_is_refused(tmp_path):
    make_cifar(tmp_path / "cifar")
    path = tmp_path / "cifar/data_batch_2.bin"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"data_batch_2.bin: truncated: .* 39 records and 2,973"):
        open_images(tmp_path / "cifar")
    path.write_bytes(bytes([77]) + bytes(3072))
    with pytest.raises(DataError, match="record 0 must begin with a class below 10, got 77"):
        open_images(tmp_path / "cifar")


def test_the_fine_classes_of_cifar_100_are_used(tmp_path):
    fine = [f"class {i:02d}" for i in range(100)]
    for seed, split in enumerate(("train", "test")):
        pixels, _ = cifar_rows(400, seed)
        labels = np.stack([np.arange(400) % 20, np.arange(400) % 100], axis=1).astype(np.uint8)
        (tmp_path / f"{split}.bin").write_bytes(np.hstack([labels, pixels]).tobytes())
    (tmp_path / "fine_label_names.txt").write_text("\n".join(fine))
    data = open_images(tmp_path)
    assert data.classes == tuple(fine)
    assert data.splits["test"].labels[:3] == [0, 1, 2]
    for split, seed in (("train", 0), ("test", 1)):
        (tmp_path / f"{split}.bin").unlink()
        content = {b"data": cifar_rows(400, seed)[0], b"fine_labels": [i % 100 for i in range(400)]}
        (tmp_path / split).write_bytes(pickle.dumps(content, protocol=2))
    names = {b"fine_label_names": [name.encode() for name in fine]}
    (tmp_path / "meta").write_bytes(pickle.dumps(names, protocol=2))
    again = open_images(tmp_path)
    assert again.classes == data.classes
    assert (again.splits["test"].read(5) == data.splits["test"].read(5)).all()


class Calls:
    """What a pickle that runs a program looks like."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return eval, (f"open({str(self.mark)!r}, 'w')",)


def test_nothing_in_a_pickle_is_executed(tmp_path):
    make_cifar_python(tmp_path / "cifar")
    mark = tmp_path / "executed"
    content = {b"labels": Calls(mark), b"data": 1}
    path = tmp_path / "cifar/data_batch_1"
    path.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(DataError, match=r"data_batch_1: not opened: it asks for \w+\.eval, and"):
        open_images(tmp_path / "cifar")
    path.write_bytes(b"\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R.")
    with pytest.raises(DataError, match=r"it asks for os\.system, and only numbers"):
        open_images(tmp_path / "cifar")
    assert not mark.exists()


def test_arrays_of_objects_and_wrong_lengths_in_a_pickle_are_refused(tmp_path):
    make_cifar_python(tmp_path / "cifar")
    path = tmp_path / "cifar/data_batch_1"
    whole = path.read_bytes()
    path.write_bytes(pickle.dumps({b"data": np.array([{}, []], object)}, protocol=2))
    with pytest.raises(DataError, match="not opened: it asks for an array of objects"):
        open_images(tmp_path / "cifar")
    shape = pickle.dumps((40, 3072), protocol=2)[2:-1]
    longer = pickle.dumps((41, 3072), protocol=2)[2:-1]
    assert whole.count(shape[:5]) == 1
    path.write_bytes(whole.replace(shape[:5], longer[:5]))
    with pytest.raises(DataError, match="an array whose length is not that of its shape"):
        open_images(tmp_path / "cifar")
    path.write_bytes(whole[:-5000])
    with pytest.raises(DataError, match="data_batch_1: truncated as a pickle"):
        open_images(tmp_path / "cifar")


def test_svhn_is_read_without_a_flag(tmp_path):
    images = {name: numbers((32, 32, 3, 40), seed) for seed, name in enumerate(("train", "test"))}
    labels = (np.arange(40) % 10 + 1)[:, None]  # ten stands for the digit 0
    for name, pixels in images.items():
        savemat(tmp_path / f"{name}_32x32.mat", {"X": pixels, "y": labels}, do_compression=True)
    (tmp_path / "extra_32x32.mat").write_bytes(b"never opened")
    data = open_images(tmp_path)
    assert data.classes == tuple("0123456789")
    test = data.splits["test"]
    assert (test.read(4).numpy() == images["test"][..., 4].transpose(2, 0, 1)).all()
    assert [data.classes[label] for label in test.labels[8:11]] == ["9", "0", "1"]
    assert [file for file, _ in data.scan.ignored] == ["extra_32x32.mat"]
    path = tmp_path / "test_32x32.mat"
    path.write_bytes(path.read_bytes()[:60_000])
    with pytest.raises(DataError, match=r"test_32x32.mat: truncated or damaged"):
        open_images(tmp_path)


def test_the_same_picture_in_two_splits_is_named(tmp_path):
    arrays = make_idx(tmp_path)
    arrays["t10k"][3] = arrays["train"][12]
    write_idx(tmp_path / "t10k-images-idx3-ubyte", arrays["t10k"])
    (leak,) = open_images(tmp_path).scan.leaks
    assert leak == ("t10k-images/03", "test", "train-images/12", "train")


@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 3), (200, 3, 3)])
def test_pixels_have_the_digest_of_the_file_with_them(shape):
    pixels = numbers(shape)
    assert array_digest(pixels) == pixel_digest(Image.fromarray(pixels))
    grey = np.repeat(pixels[..., :1], 3, axis=-1) if len(shape) == 3 else pixels
    assert array_digest(grey) == pixel_digest(Image.fromarray(grey))
