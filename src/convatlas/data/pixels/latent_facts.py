"""What a network has to know of images that it writes as a few numbers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from convatlas.data.pixels.pixel_data import PixelData, PixelFacts

MAX_LATENT = 4096  # numbers


class LatentFacts(PixelFacts):
    """`PixelFacts`, and how many numbers an image is written as.

    Args:
        latent: those numbers.
    """

    latent: Annotated[int, Field(ge=1, le=MAX_LATENT)]

    @property
    def pixels(self) -> PixelFacts:
        """What is known of the images alone."""
        return PixelFacts(**{name: getattr(self, name) for name in PixelFacts.model_fields})


def with_latent(data: PixelData, latent: int) -> PixelData:
    """Return the same data for writing images as `latent` numbers."""
    known = data.facts_
    fields = {name: getattr(known, name) for name in PixelFacts.model_fields}
    return replace(data, facts_=LatentFacts(**fields, latent=latent))


def pixels_and_latent(facts: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Return the facts of the images alone as JSON, and how many numbers one is written as."""
    known = LatentFacts.model_validate(facts)
    return known.pixels.model_dump(mode="json"), known.latent
