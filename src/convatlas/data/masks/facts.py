"""What a network and its predictor have to know of images with masks."""

from typing import Annotated

from pydantic import Field

from convatlas.data.images.annotated import AnnotatedFacts


class MaskFacts(AnnotatedFacts):
    """What a network and its predictor have to know of images with masks.

    Args:
        ignored: values of masks whose pixels have no class.
        depth: median of the training volumes in slices; None where networks take images.
    """

    ignored: list[int] = Field(default_factory=list)
    depth: Annotated[int, Field(ge=1)] | None = None
