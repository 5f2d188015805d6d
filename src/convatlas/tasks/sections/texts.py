"""What the report shows of texts with classes: the texts themselves."""

from collections.abc import Mapping
from typing import Any

from convatlas.data.text.labelled_data import TextData, TextSplit
from convatlas.explain.classes.evaluation import Evaluation
from convatlas.tasks.report_content import ReportContent
from convatlas.tasks.sections.classes import Shown, show_classes

MAX_SAMPLE_TEXTS = 60  # samples, all classes together
MAX_SHOWN_CHARACTERS = 300  # characters of a text


def show_texts(evaluation: Evaluation, data: TextData, scan: Mapping[str, Any]) -> ReportContent:
    """Return the parts of the report: headline, confusion, mistakes, samples to read."""

    def show(split: TextSplit, index: int) -> Shown:
        text = split.text(index)
        return Shown(
            "",
            text=text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]} …",
        )

    return show_classes(evaluation, data, scan, show=show, most=MAX_SAMPLE_TEXTS)
