"""The table of public checkpoints, read from `checkpoints.toml` without importing torch."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from convatlas.data.images.preprocess import Preprocess

TABLE = "checkpoints.toml"
GREY = 1


@dataclass(frozen=True)
class Checkpoint:
    """One file of weights that is published, and what must be known to use it.

    Args:
        model: the registered name that it fits.
        keys: `paper:peer`: the file of `keys` and the peer whose names the weights carry.
        file: its path in the hub repository, or in the folder of the package.
        licence: of the weights, as their publisher states it.
        size: side of the images in pixels that its publisher evaluates on.
        crop: share of the shorter side that the square takes, as in `Resize`.
        filter: of the resize.
        mean: per channel, of values in 0..1.
        std: of the images, as `mean`.
        bytes: of the file, about.
        repo: on the Hugging Face hub, or None.
        revision: of the repository; None takes the newest.
        package: of the Python package index that carries the file, or None.
        extra: of convatlas that installs the package, or None where it is installed by itself.
        sha256: of the file, where it is known beforehand.
        options: that the network must be built with.
        absent: parts of ours that the weights do not have; they keep their fresh values.
        unused: parts of the file that ours does not have.
        top1_percent: on ImageNet's validation split, as published, or None.
        published_by: who states it.
        num_classes: length of its answer.
    """

    model: str
    keys: str
    file: str
    licence: str
    size: int
    crop: float
    filter: Literal["bilinear", "bicubic"]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    bytes: int
    repo: str | None = None
    revision: str | None = None
    package: str | None = None
    extra: str | None = None
    sha256: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    absent: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    top1_percent: float | None = None
    published_by: str | None = None
    num_classes: int = 1000

    @property
    def source(self) -> str:
        """Where it comes from, in a few words."""
        if self.package is not None:
            return f"package {self.package}, {self.file}"
        return f"Hugging Face hub, {self.repo}, {self.file}"

    def to_dict(self) -> dict[str, Any]:
        """Return the keys of one entry of `weights` in `show --json`."""
        shown = ("source", "licence", "bytes", "size", "crop", "filter", "mean", "std")
        shown += ("options", "top1_percent", "published_by")
        return {key: getattr(self, key) for key in shown}

    def with_channels(self, channels: int) -> "Checkpoint":
        """Return the weights for images of other channels, as the filters are adapted.

        For grey, mean and deviation are averaged over the colours, as the filters are summed; for
        more channels those of the colours are repeated in turn, as the filters are.

        Raises:
            ValueError: channels is below 1.
        """
        if channels < 1:
            raise ValueError(f"with_channels: channels must be at least 1, got {channels}")
        if channels == len(self.mean):
            return self
        return replace(
            self, mean=_for_channels(self.mean, channels), std=_for_channels(self.std, channels)
        )

    def preprocess(self, channels: int | None = None, size: int | None = None) -> "Preprocess":
        """Build the module that makes of 8-bit images what these weights were trained on.

        Args:
            channels: of the images; None takes those of the network that the weights came with.
            size: side of the square; None takes the publisher's.
        """
        from convatlas.data.images.preprocess import Preprocess

        own = self if channels is None else self.with_channels(channels)
        mean, std = list(own.mean), list(own.std)
        return Preprocess(
            len(mean), size or self.size, mean, std, crop=self.crop, filter=self.filter
        )


def _for_channels(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    if channels == GREY:
        return (sum(values) / len(values),)
    return tuple(values[channel % len(values)] for channel in range(channels))


@cache
def _table() -> dict[str, Any]:
    text = resources.files("convatlas.pretrained").joinpath(TABLE).read_text(encoding="utf-8")
    return tomllib.loads(text)


def backbones() -> dict[str, str]:
    """Return the networks that take the weights of a classifier for a part, each with its name."""
    return dict(_table()["backbones"])


@cache
def checkpoints() -> tuple[Checkpoint, ...]:
    """List the checkpoints; of those of one network the preferred one comes first."""
    table = _table()
    return tuple(_checkpoint(dict(row), table["scales"]) for row in table["checkpoint"])


def _checkpoint(row: dict[str, Any], scales: Mapping[str, Any]) -> Checkpoint:
    row |= scales[row.pop("scale")]
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
    return Checkpoint(**fields)


def checkpoints_of(name: str) -> list[Checkpoint]:
    """List the checkpoints of one network, the preferred one first; empty if there are none."""
    return [checkpoint for checkpoint in checkpoints() if checkpoint.model == name]


def starting_weights(name: str) -> list[Checkpoint]:
    """List the checkpoints that a network can start from, the preferred one first.

    Those of a network that holds a classifier are the classifier's, under the network's own name.
    """
    return [replace(each, model=name) for each in checkpoints_of(backbones().get(name, name))]


def names_with_weights() -> list[str]:
    """List the networks that have public weights, in the order of the table."""
    return list(dict.fromkeys(checkpoint.model for checkpoint in checkpoints()))
