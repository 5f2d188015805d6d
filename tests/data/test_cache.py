import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Subset

from convatlas.data import CachedImages, Preprocess, free_memory, open_images, threads
from convatlas.data.images import disk_room, read
from convatlas.data.images.cache import square
from convatlas.data.images.image_data import Split
from convatlas.data.images.kept_pixels import KeptPixels
from convatlas.data.images.resize import Resize


@pytest.fixture
def photograph(tmp_path):
    """A file of a class of one image beside others; waves of all lengths, as photographs have."""
    y, x = np.mgrid[:900, :1400]
    rng = np.random.default_rng(0)
    waves = sum(
        np.sin((x * np.cos(a) + y * np.sin(a)) * 2 * np.pi / length)[..., None]
        * length**0.5
        * rng.random(3)
        for length, a in zip(2.0 ** rng.uniform(2, 9, 40), rng.uniform(0, 3, 40), strict=True)
    )
    pixels = np.uint8(255 * (waves - waves.min()) / np.ptp(waves))
    for name in ("a", "b"):
        for number in range(3):
            path = tmp_path / "train" / name / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.roll(pixels, 40 * number, 1) if name == "a" else 255 - pixels).save(
                path, quality=90
            )
    return tmp_path / "train" / "a" / "0.jpg"


def test_images_of_the_right_size_are_kept_as_they_are():
    split = open_images("digits").splits["val"]
    cached = CachedImages(split, 28)
    assert cached.images is not None
    assert len(cached) == 500
    image, label = cached[17]
    assert torch.equal(image, split.read(17))
    assert label == split.labels[17] == cached.labels[17]


def test_resizing_is_the_preprocessing_rounded_to_eight_bits(photos):
    split = open_images(photos).splits["train"]
    cached = CachedImages(split, 24)
    module = Preprocess(3, 24, [0.0] * 3, [1.0] * 3)
    for i in (0, 5, 41):
        exact = module.stack([split.read(i)])[0] * 255
        assert cached.read(i).dtype == torch.uint8
        assert (cached.read(i) - exact).abs().max() <= 0.5 + 1e-3


@pytest.mark.parametrize("crop", [None, 0.875])
def test_a_large_jpeg_is_decoded_small_and_comes_out_alike(photograph, crop):
    """Beside the whole decoded, by the same filter: differences are those of compression."""
    split = open_images(photograph.parents[1]).splits["train"]
    how = Resize(crop)
    whole = split.read(0)
    asked, real = [], split.store.read
    cached = CachedImages(split, 64, how=how, share=0.0)
    store = type("Noted", (), {"read": lambda _, *given: asked.append(real(*given)) or asked[-1]})()
    cached.split = Split(split.files, split.labels, store)
    small = cached.read(0)
    assert whole.shape == (3, 900, 1400)
    # An eighth has 113 rows, which is less than twice 64.
    assert asked[0].shape == (3, 225, 350)
    difference = (small.int() - square(whole, 64, how).int()).abs().float()
    assert difference.mean() < 0.7
    assert difference.quantile(0.999) <= 5


def test_what_is_trained_on_does_not_depend_on_what_memory_has_kept(photograph):
    folder = photograph.parents[1]
    held = open_images(folder, kept=KeptPixels(1 << 30)).splits["train"]
    assert len(held.store.kept) > 0
    for size in (64, 300):  # decoded small, and whole
        free = CachedImages(open_images(folder).splits["train"], size)
        assert torch.equal(CachedImages(held, size).images, free.images)


def test_a_jpeg_is_never_decoded_below_what_is_asked_for(photograph):
    for enough, rows in ((None, 900), (900, 900), (451, 900), (450, 450), (225, 225), (1, 113)):
        assert read.decode(photograph, 3, enough=enough).shape[1] == rows


def test_what_does_not_fit_is_decoded_when_asked_for(photos):
    split = open_images(photos).splits["train"]
    kept, fresh = CachedImages(split, 24), CachedImages(split, 24, share=0.0)
    assert kept.images is not None
    assert fresh.images is None
    assert all(torch.equal(kept.read(i), fresh.read(i)) for i in range(len(split)))


def test_what_memory_does_not_hold_lies_on_the_disk(photos, monkeypatch, tmp_path):
    monkeypatch.setattr(disk_room.tempfile, "tempdir", str(tmp_path))
    split = open_images(photos).splits["train"]
    kept = CachedImages(split, 24)
    mapped = CachedImages(split, 24, share=0.0, disk_share=0.5)
    assert mapped.images is not None
    assert mapped.disk_bytes == len(split) * 3 * 24 * 24
    assert torch.equal(kept.images, mapped.images)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("convatlas")]
    monkeypatch.setattr(disk_room, "file_system", lambda folder: "tmpfs")
    assert CachedImages(split, 24, share=0.0, disk_share=0.5).images is None


def test_a_full_disk_takes_no_images(monkeypatch):
    assert disk_room.disk_tensor((3, 5), 0.0) is None

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(disk_room.os, "posix_fallocate", full)
    assert disk_room.disk_tensor((3, 5), 0.5) is None


def test_a_batch_is_decoded_by_as_many_threads_as_asked_for(photos, monkeypatch):
    split, used = open_images(photos).splits["train"], []
    real = threads.ReadingPool

    def pool(work, count):
        used.append(count)
        return real(work, count)

    monkeypatch.setattr(threads, "ReadingPool", pool)
    fresh = CachedImages(split, 24, share=0.0)
    with threads.reading_threads(3):
        batches = list(DataLoader(Subset(fresh, range(9, 19)), batch_size=5))
    assert used == [3, 3]
    images = torch.cat([images for images, _ in batches])
    assert torch.equal(images, torch.stack([fresh.read(i) for i in range(9, 19)]))
    assert torch.cat([labels for _, labels in batches]).tolist() == split.labels[9:19]


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")  # Python 3.12 on the loader
@pytest.mark.parametrize("share", [0.0, 0.25])
def test_workers_of_a_loader_give_the_same_images(photos, share):
    cached = CachedImages(open_images(photos).splits["val"], 20, share=share)
    loader = DataLoader(cached, batch_size=4, num_workers=1)
    images = torch.cat([images for images, _ in loader])
    labels = torch.cat([labels for _, labels in loader])
    assert torch.equal(images, torch.stack([cached.read(i) for i in range(9)]))
    assert torch.equal(labels, cached.labels)


def test_progress_ends_at_the_total(photos):
    seen = []
    split = open_images(photos).splits["train"]
    CachedImages(split, 8, progress=lambda *counts: seen.append(counts))
    assert seen[-1] == (42, 42)


def test_statistics_may_be_taken_from_the_cache():
    split = open_images("digits").splits["val"]
    direct = Preprocess.fit(split, 1, 28).settings()
    assert Preprocess.fit(CachedImages(split, 28), 1, 28).settings() == direct


def test_a_file_that_vanishes_after_the_scan_is_named(photos):
    from convatlas.errors import DataError

    split = open_images(photos).splits["train"]
    (photos / split.files[7]).unlink()
    with pytest.raises(DataError, match=r"png: no such file"):
        CachedImages(split, 8)


def test_a_containers_limit_bounds_free_memory(monkeypatch, tmp_path):
    assert 2**20 < free_memory.free_memory_bytes() < 2**63
    (tmp_path / "memory.max").write_text("5000000\n")
    (tmp_path / "memory.current").write_text("2000000\n")
    monkeypatch.setattr(free_memory, "CONTAINER", tmp_path)
    assert free_memory.free_memory_bytes() == 3_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory.free_memory_bytes() > 3_000_000
