import json

import pytest

from convatlas.data import load_split, open_images
from convatlas.errors import DataError, WriteError


def test_a_run_finds_exactly_its_own_split_again(photos, tmp_path):
    data = open_images(photos, seed=3)
    data.save(tmp_path / "split.json")
    again = load_split(tmp_path / "split.json")
    for name, split in data.splits.items():
        assert again.splits[name].files == split.files
        assert again.splits[name].labels == split.labels
        assert (again.splits[name].read(0) == split.read(0)).all()
    assert again.scan == data.scan
    for field in ("name", "source", "classes", "channels", "height", "width", "seed"):
        assert getattr(again, field) == getattr(data, field)


def test_new_files_do_not_join_a_stored_split(photos, tmp_path):
    open_images(photos).save(tmp_path / "split.json")
    (photos / "circle/new.png").write_bytes((photos / "circle/0000.png").read_bytes())
    splits = load_split(tmp_path / "split.json").splits
    assert sum(len(split) for split in splits.values()) == 60


def test_digits_and_tables_come_back_too(photos, tmp_path):
    data = open_images("digits", seed=1)
    data.save(tmp_path / "digits.json")
    again = load_split(tmp_path / "digits.json")
    assert again.splits["test"].files == data.splits["test"].files
    assert (again.splits["test"].read(5) == data.splits["test"].read(5)).all()
    rows = [f"{path.parent.name}/{path.name},{path.parent.name}" for path in photos.rglob("*.png")]
    (photos / "list.csv").write_text("\n".join(["file_name,label", *rows]))
    table = open_images(photos / "list.csv")
    table.save(tmp_path / "table.json")
    assert load_split(tmp_path / "table.json").splits["val"].read(0).shape == (3, 16, 16)


def test_data_that_moved_is_found_where_it_is_said_to_be(photos, tmp_path):
    open_images(photos).save(tmp_path / "split.json")
    photos.rename(tmp_path / "moved")
    with pytest.raises(DataError, match=r"photos: must still contain the files .*, 60 missing"):
        load_split(tmp_path / "split.json")
    moved = load_split(tmp_path / "split.json", tmp_path / "moved")
    assert moved.splits["test"].read(0).shape == (3, 16, 16)


def test_a_vanished_file_is_named(photos, tmp_path):
    data = open_images(photos)
    data.save(tmp_path / "split.json")
    gone = data.splits["test"].files[0]
    (photos / gone).unlink()
    with pytest.raises(DataError, match=f"split.json, 1 missing: {gone}"):
        load_split(tmp_path / "split.json")


@pytest.mark.parametrize("content", ["", "[1]", '{"format": 1}'])
def test_what_is_no_stored_split_is_refused(tmp_path, content):
    (tmp_path / "split.json").write_text(content)
    with pytest.raises(DataError, match=r"split\.json: must be a"):
        load_split(tmp_path / "split.json")
    with pytest.raises(DataError, match="cannot read the split"):
        load_split(tmp_path / "absent.json")


def test_another_format_is_refused(photos, tmp_path):
    path = tmp_path / "split.json"
    open_images(photos).save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    with pytest.raises(DataError, match="must have format 1, got 2"):
        load_split(path)


def test_a_split_that_cannot_be_written_leaves_nothing_behind(photos, tmp_path):
    with pytest.raises(WriteError, match="cannot be written"):
        open_images(photos).save(tmp_path / "no" / "split.json")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(WriteError, match="cannot be written"):
        open_images(photos).save(tmp_path / "folder.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.json", "photos"]
