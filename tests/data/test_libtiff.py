import numpy as np
import pytest
from PIL import Image

from convatlas.data import read_image
from convatlas.data.images.libtiff import SILENT, library, set_handlers
from convatlas.data.images.read import quiet_pillow
from convatlas.errors import DataError


def damaged(path, compression):
    values = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(values).save(path, compression=compression)
    content = bytearray(path.read_bytes())
    for place in range(200, 4000, 37):
        content[place] ^= 0x5A
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate"])
def test_libtiff_writes_nothing_on_the_screen(tmp_path, capfd, compression):
    path = damaged(tmp_path / "scan.tif", compression)
    if library() is None:
        pytest.skip("Pillow's libtiff is not found on this system")
    with pytest.raises(DataError, match=r"scan\.tif: damaged"):
        read_image(path, 3)
    assert capfd.readouterr().err == ""


def test_its_handlers_are_set_back():
    before = set_handlers(SILENT)
    set_handlers(before)
    with quiet_pillow(), quiet_pillow():
        pass
    after = set_handlers(before)
    assert after == before


def test_without_the_library_reading_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("convatlas.data.images.libtiff.library", lambda: None)
    assert set_handlers(SILENT) == []
    Image.new("L", (3, 2)).save(tmp_path / "x.tif", compression="tiff_lzw")
    assert read_image(tmp_path / "x.tif", 1).shape == (1, 2, 3)
