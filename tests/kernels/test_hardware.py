"""What the kernels believe about the processor's caches."""

import pytest

from convatlas.kernels.runtime.hardware import cache_bytes


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512K\n", 512 << 10),
        ("2M\n", 2 << 20),
        ("48K\n", 256 << 10),  # less than a kernel can work with
        ("32M\n", 4 << 20),  # no core has that much for itself
        ("0\n", 1 << 20),
        ("", 1 << 20),
    ],
)
def test_the_size_is_read_within_reason(tmp_path, text, size):
    file = tmp_path / "size"
    file.write_text(text)
    assert cache_bytes.__wrapped__(str(file)) == size


def test_without_linux_it_is_the_usual_one(tmp_path):
    assert cache_bytes.__wrapped__(str(tmp_path / "missing")) == 1 << 20
