"""A hub's cache on disk, filled by hand: the whole way of loading runs without a network."""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import convatlas as ca
from convatlas.data import make_images
from convatlas.pretrained import checkpoint as table
from convatlas.pretrained.checkpoint import Checkpoint, checkpoints_of

NAME = "mobilenet_v2_w0.5"  # whose weights `weights` lays into the cache
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty hub cache; whatever would reach for the hub itself fails at once."""
    from huggingface_hub import constants

    folder = tmp_path / "hub"
    folder.mkdir()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return folder


@pytest.fixture
def put(cache) -> Callable[..., Path]:
    """Lay tensors into the cache as the hub's client does, under their checksum."""

    def run(checkpoint: Checkpoint, tensors: Mapping[str, Tensor]) -> Path:
        from safetensors.torch import save

        content = save({key: value.contiguous() for key, value in tensors.items()})
        repo = cache / f"models--{checkpoint.repo.replace('/', '--')}"
        blob = repo / "blobs" / hashlib.sha256(content).hexdigest()
        file = repo / "snapshots" / COMMIT / checkpoint.file
        for path in (blob, file, repo / "refs" / "main"):
            path.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(content)
        file.unlink(missing_ok=True)
        file.symlink_to(os.path.relpath(blob, file.parent))
        (repo / "refs" / "main").write_text(COMMIT)
        return file

    return run


@pytest.fixture
def hub_only(monkeypatch) -> None:
    """As if no package of weights were installed."""
    known = tuple(c for c in table.checkpoints() if c.package is None)
    monkeypatch.setattr(table, "checkpoints", lambda: known)


@pytest.fixture
def peer() -> Callable[..., nn.Module]:
    """timm's network behind a checkpoint, random but for norms that are not those of a start."""

    def run(checkpoint: Checkpoint, **options: object) -> nn.Module:
        timm = pytest.importorskip("timm")
        torch.manual_seed(0)
        name = checkpoint.repo.removeprefix("timm/").partition(".")[0]
        model = timm.create_model(name, **options)
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.running_mean, std=0.2)
                nn.init.uniform_(module.running_var, 0.5, 2.0)
        return model.eval()

    return run


@pytest.fixture
def from_hub() -> Callable[[str], Checkpoint]:
    """The checkpoint that the hub has of a network."""
    return lambda name: next(c for c in checkpoints_of(name) if c.repo is not None)


@pytest.fixture
def weights(cache, put, hub_only) -> Checkpoint:
    """MobileNet V2's weights under the peer's names, as our own network drew them."""
    from convatlas.pretrained.translate import key_paths

    torch.manual_seed(0)
    (checkpoint,) = checkpoints_of(NAME)
    model = ca.create_model(NAME)
    theirs = {ours: theirs for theirs, ours in key_paths(model, checkpoint)}
    state = model.state_dict()
    names = {name: name.rpartition(".") for name in state}
    put(checkpoint, {f"{theirs[m]}.{tensor}": state[n] for n, (m, _, tensor) in names.items()})
    return checkpoint


@pytest.fixture
def changed() -> Callable[..., Checkpoint]:
    return replace


@pytest.fixture
def photos(tmp_path):
    return make_images(tmp_path / "photos", classes=2, per_class=20, size=64)
