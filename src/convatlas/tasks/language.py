"""Texts in, the probability of each of their symbols out; and texts that go on."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from convatlas.data.sources.stored_parts import learnt_digests, parsed
from convatlas.data.statistics import Statistics
from convatlas.data.text.asked_texts import AskedText, asked_texts
from convatlas.data.text.line_data import LineData, LineFacts, LineSplit
from convatlas.data.text.open_lines import LAYOUTS, open_lines, open_lines_test, reopen_lines
from convatlas.data.text.read_plain import holds_plain
from convatlas.data.text.statistics import text_statistics
from convatlas.deploy.language_model import LanguageModel
from convatlas.errors import UsageError
from convatlas.explain.language.evaluation import LanguageEvaluation, evaluate_language
from convatlas.explain.language.prediction import COLUMNS, CSV_COLUMNS, TextPrediction
from convatlas.models.registry import Entry
from convatlas.tasks.language_options import check_language_options
from convatlas.tasks.onnx_language_snippet import language_runtime_code
from convatlas.tasks.reads_text import (
    check_symbols,
    evenly_spaced,
    networks_for,
    refuse_reading,
)
from convatlas.tasks.reopened import agreeing
from convatlas.tasks.report_content import ReportContent
from convatlas.tasks.sections.language import show_language
from convatlas.tasks.task import Task
from convatlas.tasks.trial_lines import TrialLines
from convatlas.train.recipe import Recipe
from convatlas.train.tasks.language import BITS_PER_CHAR

RECIPE = Recipe(lr=3e-3, weight_decay=0.01, batch_size=32)
ASKED_AT_ONCE = 64  # texts
CONTINUED = 60  # symbols that are written behind a text


class ForetellText(Task[LineData, LanguageEvaluation]):
    """Give each symbol of a text a probability, and write on after texts."""

    name = "language"
    before = ("classify",)  # whose tables a text file might be
    metric = BITS_PER_CHAR
    items = "texts"
    layouts = LAYOUTS
    columns = COLUMNS
    right = ("bits/char",)
    next = "texts.txt"
    asking = "Ask how probable texts are, and how they go on"
    recipe = RECIPE

    def takes(self, source: str | Path) -> bool:
        return holds_plain(Path(source))

    def check_options(self, options: Mapping[str, Any]) -> None:
        check_language_options(options)

    def open(self, source, *, seed, max_broken, options, progress) -> LineData:
        return open_lines(
            source, seed=seed, max_broken=max_broken, options=options, progress=progress
        )

    def open_test(self, source, facts, *, max_broken, progress) -> LineData:
        known = LineFacts.model_validate(facts)
        return open_lines_test(source, known, max_broken=max_broken, progress=progress)

    def reopen(self, stored, source, facts) -> LineData:
        known = LineFacts.model_validate(facts)
        return agreeing(reopen_lines(stored, source, known), stored, facts)

    def learnt_from(self, stored) -> set[str] | None:
        return learnt_digests(parsed(stored)["splits"])

    def with_options(self, facts, options) -> dict[str, Any]:
        refuse_reading(self.name, options)
        return dict(facts)

    def check(self, facts, settings, run) -> None:
        known = LineFacts.model_validate(facts)
        check_symbols(known, run)

    def fresh(self, entries: Sequence[Entry], data: LineData, *, fixed_width: bool):
        return networks_for(entries, data.facts_, fixed_width=fixed_width)

    def pretrained(self, checkpoints, data):
        raise UsageError("there are no public weights for the task language")

    def input_words(self, example) -> str:
        return f"{example['tokens']} symbols"

    def trial_data(self, data: LineData, recipe, options, progress) -> TrialLines:
        return TrialLines(data, progress)

    def settings(self, candidate, facts) -> dict[str, Any]:
        return {}

    def predictor(self, network: nn.Module, settings, facts) -> LanguageModel:
        return LanguageModel(network, LineFacts.model_validate(facts))

    def sample(self, split: LineSplit, count: int) -> list[Tensor]:
        return evenly_spaced(split, count)

    def predict(self, predictor, asked, facts, progress):
        return None, _answers(predictor, asked_texts(asked))

    def evaluate(self, predictor, split: LineSplit, facts, progress) -> LanguageEvaluation:
        assert isinstance(predictor, LanguageModel)
        return evaluate_language(predictor, split, progress, self.items)

    def csv_columns(self, top: int) -> list[str]:
        return list(CSV_COLUMNS)

    def describe_settings(self, settings, facts) -> list[tuple[str, str]]:
        known = LineFacts.model_validate(facts)
        kind, size = known.vocabulary["kind"], len(known.read_with())
        return [
            ("read", f"{size:,} {kind}, padding, end and unknown included"),
            ("longest text", f"{known.max_characters:,} characters; longer lines are cut"),
        ]

    def show(self, evaluation: LanguageEvaluation, data: LineData, scan) -> ReportContent:
        return show_language(evaluation, data)

    def statistics(
        self, data: LineData, split: str, progress: Callable[[int, int], None]
    ) -> list[Statistics]:
        part = data.splits[split]
        return text_statistics({"texts": (part.texts, part.vocabulary)})

    def runtime_code(self, path: Path, run) -> str:
        return language_runtime_code(path, LineFacts.model_validate(run.facts))


def _answers(predictor: Any, asked: Iterable[AskedText]) -> Iterator[TextPrediction]:
    """Yield the bits of each text and how it goes on, in order; errors for what cannot be used."""
    listed = iter(asked)
    while some := list(islice(listed, ASKED_AT_ONCE)):
        texts = [each.text for each in some if each.error is None]
        model = predictor() if texts else None
        scored = iter(model.score(texts) if model else ())
        more = iter(
            model.write(texts, CONTINUED) if model and model.writes else [None] * len(texts)
        )
        for each in some:
            if each.error is not None:
                yield TextPrediction(each.file, each.line, each.text, error=each.error)
                continue
            found, behind = next(scored), next(more)
            yield _answer(each, found, behind)


def _answer(asked: AskedText, found: Any, behind: str | None) -> TextPrediction:
    """Return the answer for one text, or why there is none."""
    about = (asked.file, asked.line, asked.text)
    if set(found.unknown) >= set(asked.text) - {" "}:
        return TextPrediction(
            *about, error=f"{asked.place}: the network knows none of its characters"
        )
    if found.bits != found.bits:
        return TextPrediction(
            *about, error=f"{asked.place}: the network's answer is not a finite number"
        )
    return TextPrediction(*about, found.per_character, behind, found.unknown)


TASK = ForetellText()
