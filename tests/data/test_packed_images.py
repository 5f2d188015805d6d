"""Shards, tables and named data sets of images: written by the packages whose forms they are."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from convatlas.data import load_split, make_images, open_images
from convatlas.errors import DataError
from convatlas.tasks import recognise_task

COUNT = 8  # images of each class


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    return make_images(tmp_path_factory.mktemp("made") / "photos", 3, COUNT, 16)


def examples(photos: Path) -> list[tuple[Path, str]]:
    return [(path, path.parent.name) for path in sorted(photos.rglob("*.png"))]


def same_images(data, photos: Path) -> None:
    """Every image is there, with its class and its pixels."""
    plain = open_images(photos)
    digests = {}
    for split in plain.splits.values():
        for file, label in zip(split.files, split.labels, strict=True):
            digests[plain.digests[file]] = plain.classes[label]
    found = {}
    for split in data.splits.values():
        for file, label in zip(split.files, split.labels, strict=True):
            found[data.digests[file]] = data.classes[label]
    assert found == digests


def write_shards(folder: Path, photos: Path, name: str = "data", per_shard: int = 10) -> None:
    import webdataset

    folder.mkdir(parents=True, exist_ok=True)
    for number in range(0, 3 * COUNT, per_shard):
        with webdataset.TarWriter(str(folder / f"{name}-{number:06d}.tar")) as shard:
            for path, label in examples(photos)[number : number + per_shard]:
                key = f"{label}_{path.stem}"
                shard.write({"__key__": key, "png": path.read_bytes(), "cls": label.encode()})


def write_table(path: Path, rows: list[tuple[Path, str]]) -> None:
    import datasets

    names = sorted({label for _, label in rows})
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=names)}
    )
    columns = {"image": [str(p) for p, _ in rows], "label": [label for _, label in rows]}
    data = datasets.Dataset.from_dict(columns, features=features)
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_to_disk(path) if not path.suffix else data.to_parquet(path)


def test_shards_of_webdataset_are_read(tmp_path, photos):
    write_shards(tmp_path / "shards", photos)
    assert recognise_task(tmp_path / "shards").name == "classify"
    data = open_images(tmp_path / "shards")
    same_images(data, photos)
    data.save(tmp_path / "split.json")
    again = load_split(tmp_path / "split.json")
    assert (again.splits["val"].read(0) == data.splits["val"].read(0)).all()


def test_names_and_folders_of_shards_are_splits(tmp_path, photos):
    for name in ("train", "val"):
        write_shards(tmp_path / "flat", photos, f"set-{name}")
        write_shards(tmp_path / "nested" / name, photos)
    for folder in ("flat", "nested"):
        data = open_images(tmp_path / folder)
        assert len(data.splits["val"]) == 3 * COUNT
        assert set(data.splits) == {"train", "val", "test"}
        assert len(data.scan.leaks) == 3 * COUNT


def test_classes_in_json_and_odd_examples_of_shards(tmp_path, photos):
    import webdataset

    with webdataset.TarWriter(str(tmp_path / "a.tar")) as shard:
        for place, (path, label) in enumerate(examples(photos)):
            facts = {"class_id": ["circle", "square", "triangle"].index(label) if place else None}
            shard.write({"__key__": f"{place:03d}", "png": path.read_bytes(), "json": facts})
        shard.write({"__key__": "999", "cls": b"square"})
    (tmp_path / "classes.txt").write_text("circle\nsquare\ntriangle\n")
    data = open_images(tmp_path, max_broken=0.2)
    assert data.classes == ("circle", "square", "triangle")
    assert data.scan.broken == [
        ("a.tar/000.png", "must have a class in .cls or .json, got json, png"),
        ("a.tar/999.?", "must have one image, got none"),
    ]


def test_truncated_shards_are_refused(tmp_path, photos):
    write_shards(tmp_path, photos, per_shard=100)
    path = tmp_path / "data-000000.tar"
    whole = path.read_bytes()
    data = open_images(tmp_path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"data-000000.tar: truncated as a tar file after \d+ exam"):
        open_images(tmp_path)
    train = data.splits["train"]
    last = max(train.files)
    with pytest.raises(DataError, match=f"{last}: the shard ends before it"):
        train.read(train.files.index(last))


def test_an_archive_of_another_kind_is_no_shard(tmp_path, photos):
    import shutil

    folder = shutil.copytree(photos, tmp_path / "photos")
    shutil.make_archive(str(folder / "backup"), "tar", photos)
    same_images(open_images(folder), photos)


@pytest.mark.parametrize("name", ["saved", "table.parquet"])
def test_tables_of_hugging_face_are_read(tmp_path, photos, name):
    write_table(tmp_path / "data" / name, examples(photos))
    source = tmp_path / "data" if "." in name else tmp_path / "data" / name
    assert recognise_task(source).name == "classify"
    data = open_images(source)
    same_images(data, photos)
    data.save(tmp_path / "split.json")
    stored = load_split(tmp_path / "split.json").splits["test"]
    again = pickle.loads(pickle.dumps(stored))  # as for a worker of a DataLoader
    assert (again.read(0) == data.splits["test"].read(0)).all()


def test_names_of_tables_are_splits(tmp_path, photos):
    rows = examples(photos)
    write_table(tmp_path / "train-00000-of-00001.parquet", rows)
    write_table(tmp_path / "validation-00000-of-00001.parquet", rows[::2])
    data = open_images(tmp_path)
    assert len(data.splits["val"]) == len(rows) // 2
    path = tmp_path / "validation-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DataError, match=r"validation-00000-of-00001.parquet: truncated or damaged"):
        open_images(tmp_path)


def test_rows_without_class_are_named(tmp_path, photos):
    import pyarrow as pa
    import pyarrow.parquet

    rows = examples(photos)
    images = [path.read_bytes() for path, _ in rows]
    labels = [None, *(label for _, label in rows[1:])]
    table = pa.table({"img": pa.array(images, pa.binary()), "Class": labels})
    pa.parquet.write_table(table, tmp_path / "a.parquet", row_group_size=5)
    data = open_images(tmp_path / "a.parquet")
    assert data.scan.broken == [("a/00", "no class, got None")]
    assert sum(map(len, data.splits.values())) == len(rows) - 1


def test_a_table_of_readings_is_still_one(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet

    columns = {"time": list(range(50)), **{f"s{i}": np.arange(50.0) for i in range(3)}}
    pa.parquet.write_table(pa.table(columns), tmp_path / "readings.parquet")
    assert recognise_task(tmp_path / "readings.parquet").name == "forecast"


def test_a_data_set_is_loaded_by_its_name(tmp_path, photos, monkeypatch):
    """The name is a folder here, which `datasets` takes as well and needs no connection for."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    rows = examples(photos)
    write_table(tmp_path / "shapes/data/train-00000-of-00001.parquet", rows)
    write_table(tmp_path / "shapes/data/test-00000-of-00001.parquet", rows[1::4])
    source = f"hf:{tmp_path / 'shapes'}"
    assert recognise_task(source).name == "classify"
    data = open_images(source)
    assert data.classes == ("circle", "square", "triangle")
    assert data.source == source
    assert len(data.splits["test"]) == len(rows[1::4])
    data.save(tmp_path / "split.json")
    again = load_split(tmp_path / "split.json")
    assert (again.splits["val"].read(0) == data.splits["val"].read(0)).all()
    with pytest.raises(DataError, match=r"hf:.*nowhere: cannot be loaded: "):
        open_images(f"hf:{tmp_path / 'nowhere'}")


@pytest.mark.parametrize("layout", ["root", "splits"])
def test_metadata_beside_images_is_read(tmp_path, photos, layout):
    import shutil

    plain = open_images(photos)
    for split, part in plain.splits.items():
        folder = tmp_path / "data" / (split if layout == "splits" else "")
        folder.mkdir(parents=True, exist_ok=True)
        lines = []
        for row, (file, label) in enumerate(zip(part.files, part.labels, strict=True)):
            name = f"{split}{row}.png"
            shutil.copy(photos / file, folder / name)
            fields = {"file_name": name, "label": plain.classes[label], "boxes": [1, 2]}
            lines.append(json.dumps(fields if layout == "splits" else {**fields, "split": split}))
        with (folder / "metadata.jsonl").open("a") as file:
            file.write("\n".join(lines) + "\n")
    assert recognise_task(tmp_path / "data").name == "classify"
    data = open_images(tmp_path / "data")
    same_images(data, photos)
    assert {name: len(s) for name, s in data.splits.items()} == {
        name: len(s) for name, s in plain.splits.items()
    }
    data.save(tmp_path / "split.json")
    assert load_split(tmp_path / "split.json").splits["val"].read(0).shape[1:] == (16, 16)


def test_lines_of_metadata_that_are_no_objects_are_named(tmp_path, photos):
    (tmp_path / "list.jsonl").write_text('{"file_name": "a.png", "label": 1}\n[1]\n')
    with pytest.raises(DataError, match=r"list.jsonl:2: must be a JSON object, got \[1\]"):
        open_images(tmp_path / "list.jsonl")
    (tmp_path / "list.jsonl").write_text('{"file_name": "a.png", "label": 1}\n{"file_name\n')
    with pytest.raises(DataError, match=r"list.jsonl:2: must be JSON"):
        open_images(tmp_path / "list.jsonl")
