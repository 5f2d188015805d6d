"""The images of a split beside what the network gives back, and beside principal components."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from convatlas.data.pixels.latent_facts import LatentFacts
from convatlas.data.pixels.pixel_data import PixelSplit
from convatlas.errors import DataError
from convatlas.explain.mean_interval import mean_interval
from convatlas.explain.reconstructions.principal import PrincipalComponents, image_vectors
from convatlas.progress import Progress
from convatlas.text import printable
from convatlas.train.tasks.reconstruct import MSE, image_errors

BATCH = 64
NETWORK, MEAN = "network", "mean image"
PCA = "principal components"
MAX_COMPARED = 20_000  # training images whose principal components are computed
MAX_COMPARED_VALUES = 1 << 27  # that they may have together
SHOWN = 8  # images that are kept with what was given back of them, and as many of the worst


class Reconstructs(Protocol):
    """What is evaluated."""

    def predict(self, items: Sequence[Any]) -> tuple[Tensor, Tensor]:
        """Return images and latent numbers. Shape: each uint8 (h, w, c) -> (n, h, w, c), (n, k)"""
        ...


@dataclass(frozen=True, eq=False)
class ShownImage:
    """A test image, what is given back of it by way, and its error.

    Shape: original and each of `made` uint8 (h, w, channels)
    """

    file: str
    original: Tensor
    made: Mapping[str, Tensor]
    mse: float


@dataclass(frozen=True, eq=False)
class ReconstructionEvaluation:
    """The squared error of every image.

    Args:
        errors: by way: of the network, and of the simple ones. Shape: each (n,)
        files: names of the images.
        labels: the class of each as its place in the class map.
        latents: the numbers that each is written as. Shape: (n, latent)
        spaced: evenly spaced images.
        worst: those with the largest errors of the network.
    """

    facts: LatentFacts
    errors: Mapping[str, Tensor]
    files: Sequence[str]
    labels: Sequence[int]
    latents: Tensor
    spaced: Sequence[ShownImage]
    worst: Sequence[ShownImage]
    warnings: tuple[str, ...] = ()
    seen: int = 0

    def __len__(self) -> int:
        return len(self.files)

    @property
    def figures(self) -> dict[str, float]:
        """Mean squared error of the network, and of the simple ways."""
        keys = {NETWORK: MSE.key, PCA: f"{MSE.key}_pca", MEAN: f"{MSE.key}_mean_image"}
        return {keys[name]: self.mean(name) for name in self.errors}

    def mean(self, name: str) -> float:
        """Return the mean squared error of a way."""
        return float(self.errors[name].mean())

    def words(self, name: str) -> str:
        """Return a way's name for people: how many components there are."""
        return f"{self.facts.latent:,} {PCA}" if name == PCA else name

    @property
    def interval(self) -> tuple[float, float]:
        """In which the network's mean lies with 95 % confidence, images drawn anew."""
        return mean_interval(self.errors[NETWORK])

    def with_findings(self, warnings: Sequence[str], seen: int) -> "ReconstructionEvaluation":
        """Return the same answers with what was found in the data."""
        return replace(self, warnings=tuple(warnings), seen=seen)

    def beside(self) -> str:
        """Return the errors of the simple ways in words."""
        return ", ".join(
            f"{self.words(name)} {MSE.text(self.mean(name))}"
            for name in self.errors
            if name != NETWORK
        )

    def record(self) -> dict[str, Any]:
        """Return what the figures must be read beside, for `run.json`."""
        beside = f" ({self.beside()})" if len(self.errors) > 1 else ""
        return {
            "words": f"{MSE.text(self.mean(NETWORK))} per value of {len(self):,} images, values "
            f"from 0 to 1, {self.facts.latent:,} numbers an image{beside}",
            "interval": list(self.interval),
            "doubts": self.doubts(),
        }

    def doubts(self) -> list[str]:
        """Return a sentence for each simple way that is as good."""
        return [
            f"its error is no less than that of {self.words(name)} "
            f"({MSE.text(self.mean(name))}): more time or a larger network may help"
            for name in self.errors
            if name != NETWORK and not self.mean(NETWORK) < self.mean(name)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return everything for `evaluate --json`."""
        return {
            "images": len(self),
            "latent": self.facts.latent,
            "ways": {self.words(name): self.mean(name) for name in self.errors},
            "mse_by_image": dict(zip(self.files, self.errors[NETWORK].tolist(), strict=True)),
        }

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[Any]], Sequence[str]]:
        """Return mean, least and largest error by way."""
        heads = ("way", "mean squared error", "least", "largest", "PSNR of the mean")
        rows = []
        for name, errors in self.errors.items():
            cells = (f"{float(x):.4g}" for x in (errors.mean(), errors.min(), errors.max()))
            rows.append((self.words(name), *cells, f"{-10 * float(errors.mean().log10()):.2f} dB"))
        return heads, rows, heads[1:]

    def lines(self) -> list[str]:
        """Return what is said below the table."""
        return [f"{MSE.words} {self.record()['words']}"]


def evaluate_reconstructions(
    model: Reconstructs, split: PixelSplit, progress: Progress, items: str
) -> ReconstructionEvaluation:
    """Give every image of a split back, by the network and by simple ways.

    Args:
        items: what images are called.

    Raises:
        DataError: an answer is not finite, or an image has another size.
    """
    facts = split.facts
    assert isinstance(facts, LatentFacts)
    components = None if split.train is None else training_components(split, progress)
    errors: dict[str, list[Tensor]] = {NETWORK: []}
    if components is not None:
        errors |= {PCA: [], MEAN: []}
    latents = []
    bar = progress.bar("testing", len(split), unit=items)
    for start in range(0, len(split), BATCH):
        places = range(start, min(start + BATCH, len(split)))
        images = [_image(split, place) for place in places]
        made, latent = model.predict(images)
        x = image_vectors(images)
        found = image_errors(made.flatten(1), x).double()
        finite = found.isfinite() & latent.isfinite().all(1)
        if not bool(finite.all()):
            odd = split.files[start + int((~finite).nonzero()[0])]
            raise DataError(f"the network's answer is not a finite number for {printable(odd)}")
        errors[NETWORK].append(found)
        latents.append(latent)
        if components is not None:
            errors[PCA].append(image_errors(_linear(components, x), x.double()))
            errors[MEAN].append(image_errors(components.mean[None], x.double()))
        bar.update(places[-1] + 1)
    bar.close()
    means = {name: torch.cat(parts) for name, parts in errors.items()}
    worst = means[NETWORK].argsort(descending=True, stable=True)[:SHOWN].tolist()
    count = min(SHOWN, len(split))
    spaced = [number * len(split) // count for number in range(count)]
    return ReconstructionEvaluation(
        facts,
        means,
        split.files,
        split.labels,
        torch.cat(latents),
        _example_images(model, components, split, means[NETWORK], spaced),
        _example_images(model, components, split, means[NETWORK], worst),
    )


def training_components(split: PixelSplit, progress: Progress) -> PrincipalComponents:
    """Return the principal components of training images, as many as there are latent numbers.

    Evenly spaced ones where there are very many.
    """
    facts = split.facts
    assert split.train is not None
    assert isinstance(facts, LatentFacts)
    train = replace(split, images=split.train)
    most = max(1, min(MAX_COMPARED, MAX_COMPARED_VALUES // facts.dimensions))
    places = range(0, len(train), -(-len(train) // most))
    vectors = torch.empty(len(places), facts.dimensions)
    bar = progress.bar("reading for principal components", len(places), unit="images")
    for number, place in enumerate(places):
        vectors[number] = image_vectors([_image(train, place)])[0]
        bar.update(number + 1)
    bar.close()
    return PrincipalComponents(vectors, facts.latent)


def to_bytes(values: Tensor) -> Tensor:
    """Return values from 0 to 1 as 8 bits. Shape: float (…) -> uint8 (…)"""
    return (values.clamp(0, 1) * 255).round().to(torch.uint8)


def _image(split: PixelSplit, place: int) -> Tensor:
    """Read an image as the predictor takes it. Shape: uint8 (h, w, channels)"""
    return split.read(place).permute(1, 2, 0).contiguous()


def _linear(components: PrincipalComponents, x: Tensor) -> Tensor:
    """Return what principal components give back, cut to 0..1. Shape: (n, d) -> (n, d)"""
    return components.decode(components.encode(x)).clamp(0, 1)


def _example_images(
    model: Reconstructs,
    components: PrincipalComponents | None,
    split: PixelSplit,
    errors: Tensor,
    places: Sequence[int],
) -> list[ShownImage]:
    """Return images with what is given back of them."""
    images = [_image(split, place) for place in places]
    made = {NETWORK: model.predict(images)[0]}
    if components is not None:
        made[PCA] = _linear(components, image_vectors(images)).view_as(made[NETWORK])
    return [
        ShownImage(
            split.files[place],
            images[number],
            {name: to_bytes(each[number]) for name, each in made.items()},
            float(errors[place]),
        )
        for number, place in enumerate(places)
    ]
