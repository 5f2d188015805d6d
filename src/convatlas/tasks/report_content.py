"""What a task adds to the report."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup


@dataclass(frozen=True)
class Section:
    """A part of the report: `html` under a title, with the pictures that it places.

    Args:
        id: of the element, and the place of its pictures.
        pictures: plotly figures by place, several with their words where one can be chosen.
    """

    id: str
    title: str
    html: Callable[[Mapping[str, Any]], Markup]  # given the embedded pictures
    pictures: Mapping[str, Sequence[tuple[str, Any]]] = field(default_factory=dict)


@dataclass(frozen=True)
class ReportContent:
    """What the report shows of an answer beside the parts that every task has.

    Args:
        sentence: the result for the page's head.
        notes: below the metric's card.
        sections: between the learning curves and the costs.
        data: below what the scan found.
    """

    sentence: str
    notes: Sequence[str]
    sections: Sequence[Section]
    data: Markup
