import sys
import types

import pytest
from PIL import Image

from convatlas.data import read_image
from convatlas.data.images.heif import register_heif
from convatlas.errors import DataError


@pytest.fixture
def fresh():
    register_heif.cache_clear()
    yield
    register_heif.cache_clear()


@pytest.mark.parametrize("brand", [b"heic", b"mif1", b"heix"])
def test_heic_without_its_package_says_which_to_install(tmp_path, brand, monkeypatch, fresh):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # not installed
    path = tmp_path / "photo.heic"
    path.write_bytes(b"\0\0\0\x18ftyp" + brand + b"\0" * 40)
    with pytest.raises(DataError, match=r"photo\.heic: a HEIC image; `pip install pillow-heif`"):
        read_image(path, 3)


def test_heic_is_read_where_the_package_is_installed(monkeypatch, fresh):
    calls = []
    package = types.ModuleType("pillow_heif")
    package.register_heif_opener = lambda: calls.append(1)  # pyright: ignore
    monkeypatch.setitem(sys.modules, "pillow_heif", package)
    register_heif()
    register_heif()
    assert calls == [1]


def test_a_photograph_in_heic(tmp_path):
    package = pytest.importorskip("pillow_heif")
    package.register_heif_opener()
    path = tmp_path / "photo.heic"
    Image.new("RGB", (64, 48), (200, 30, 60)).save(path)
    assert read_image(path, 3).shape == (3, 48, 64)
