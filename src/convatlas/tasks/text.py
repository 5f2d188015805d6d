"""Texts in, one class of several out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from convatlas.data.packed.recognise import holds_packed
from convatlas.data.sources.stored_parts import learnt_digests, parsed
from convatlas.data.statistics import Statistics
from convatlas.data.text.asked_documents import asked_documents
from convatlas.data.text.asked_texts import AskedText
from convatlas.data.text.labelled_data import TextData, TextFacts, TextSplit, text_symbols
from convatlas.data.text.open_labelled import (
    LAYOUTS,
    holds_texts,
    open_texts,
    open_texts_test,
    reopen_texts,
)
from convatlas.data.text.statistics import text_statistics
from convatlas.data.text.vocabulary import Vocabulary, knows_nothing
from convatlas.data.text.words import Words
from convatlas.deploy.text_classifier import TextClassifier
from convatlas.errors import UsageError
from convatlas.explain.classes.evaluation import Evaluation
from convatlas.explain.classes.prediction import TextAnswer
from convatlas.explain.classes.text_counts import TextEvaluation, counted_classes
from convatlas.models.registry import Entry
from convatlas.tasks import class_options
from convatlas.tasks.class_task import ClassTask, check_class_run, class_prediction
from convatlas.tasks.onnx_text_snippet import text_runtime_code
from convatlas.tasks.reads_text import (
    check_symbols,
    evenly_spaced,
    networks_for,
    refuse_reading,
)
from convatlas.tasks.reopened import agreeing
from convatlas.tasks.report_content import ReportContent
from convatlas.tasks.sections.texts import show_texts
from convatlas.tasks.text_options import check_text_options, symbol_dropout
from convatlas.tasks.trial_texts import TrialTexts
from convatlas.train.recipe import Recipe

RECIPE = Recipe(lr=2e-3, weight_decay=0.01, batch_size=64)
ASKED_AT_ONCE = 256  # texts


class ClassifyText(ClassTask[TextData]):
    """Name the class of a text."""

    name = "text"
    before = ("classify",)  # whose tables a CSV file might be
    items = "texts"
    layouts = LAYOUTS
    next = "texts.txt"
    asking = "Classify new texts"
    recipe = RECIPE

    def takes(self, source: str | Path) -> bool:
        # CIFAR's folders have text files beside the images, with the names of the classes.
        return holds_texts(Path(source)) and not holds_packed(source)

    def check_options(self, options) -> None:
        check_text_options(options)

    def open(self, source, *, seed, max_broken, options, progress) -> TextData:
        return open_texts(
            source, seed=seed, max_broken=max_broken, options=options, progress=progress
        )

    def open_test(self, source, facts, *, max_broken, progress) -> TextData:
        known = TextFacts.model_validate(facts)
        return open_texts_test(source, known, max_broken=max_broken, progress=progress)

    def reopen(self, stored, source, facts) -> TextData:
        known = TextFacts.model_validate(facts)
        return agreeing(reopen_texts(stored, source, known), stored, facts)

    def learnt_from(self, stored) -> set[str] | None:
        return learnt_digests(parsed(stored)["splits"])

    def with_options(self, facts, options) -> dict[str, Any]:
        refuse_reading(self.name, options)
        return dict(facts)

    def check(self, facts, settings, run) -> None:
        known = TextFacts.model_validate(facts)
        check_symbols(known, run)
        check_class_run(known.classes, None, run)

    def fresh(self, entries: Sequence[Entry], data: TextData, *, fixed_width: bool):
        return networks_for(
            entries, data.facts_, fixed_width=fixed_width, num_classes=len(data.classes)
        )

    def pretrained(self, checkpoints, data):
        raise UsageError("there are no public weights for the task text")

    def input_words(self, example) -> str:
        return f"{example['tokens']} symbols"

    def trial_data(self, data: TextData, recipe, options, progress) -> TrialTexts:
        labels = data.splits["train"].labels
        return TrialTexts(
            data,
            progress,
            symbol_dropout=symbol_dropout(options),
            label_smoothing=class_options.label_smoothing(options),
            metric=class_options.metric_of(options),
            class_weights=class_options.class_weights(options, labels, data.classes),
        )

    def settings(self, candidate, facts) -> dict[str, Any]:
        return {}

    def predictor(self, network: nn.Module, settings, facts) -> TextClassifier:
        return TextClassifier(network, TextFacts.model_validate(facts))

    def sample(self, split: TextSplit, count: int) -> list[Tensor]:
        return evenly_spaced(split, count)

    def predict(self, predictor, asked, facts, progress):
        known = TextFacts.model_validate(facts)
        return None, _answers(predictor, asked_documents(asked, known), known)

    def evaluate(self, predictor, split: TextSplit, facts, progress) -> Evaluation:
        bar = progress.bar("testing", len(split), unit=self.items)
        answers: list[Tensor] = []
        for start in range(0, len(split), ASKED_AT_ONCE):
            end = min(start + ASKED_AT_ONCE, len(split))
            answers.append(predictor.predict([split.read(place) for place in range(start, end)]))
            bar.update(end)
        bar.close()
        found = self.evaluation(torch.cat(answers), split.labels, split.files, facts["classes"])
        return TextEvaluation(
            **{each.name: getattr(found, each.name) for each in fields(found)},
            counted=_counted(split),
            kind=facts["vocabulary"]["kind"],
        )

    def describe_settings(self, settings, facts) -> list[tuple[str, str]]:
        known = TextFacts.model_validate(facts)
        kind, size = known.vocabulary["kind"], len(known.read_with())
        return [
            ("read", f"{size:,} {kind}, padding, end and unknown included"),
            ("longest text", f"{known.longest:,} symbols, as in the training part"),
        ]

    def show(self, evaluation: Evaluation, data: TextData, scan) -> ReportContent:
        return show_texts(evaluation, data, scan)

    def statistics(
        self, data: TextData, split: str, progress: Callable[[int, int], None]
    ) -> list[Statistics]:
        part = data.splits[split]
        texts = [part.text(place) for place in range(len(part))]
        return text_statistics({"texts": (texts, part.vocabulary)})

    def prediction_doubts(self, predictions: Sequence[TextAnswer]) -> list[str]:
        return [each.doubt for each in predictions if each.doubt]

    def runtime_code(self, path: Path, run) -> str:
        return text_runtime_code(path, TextFacts.model_validate(run.facts))


def _counted(split: TextSplit) -> Tensor | None:
    """Return the classes that counting the symbols of the training texts gives."""
    if split.train is None:
        return None
    train = replace(split, examples=split.train)
    known, asked = ([part.read(n) for n in range(len(part))] for part in (train, split))
    return counted_classes(known, train.labels, asked, len(split.vocabulary))


def _answers(predictor: Any, asked: Iterable[AskedText], facts: TextFacts) -> Iterator[TextAnswer]:
    """Yield the class of each text, in order; what cannot be used has an error instead."""
    vocabulary = facts.read_with()
    listed = iter(asked)
    while some := list(islice(listed, ASKED_AT_ONCE)):
        some = [_known(each, vocabulary) for each in some]
        good = [text_symbols(each.text, vocabulary) for each in some if each.error is None]
        rows = iter(predictor().predict(good) if good else ())
        for each in some:
            row = next(rows) if each.error is None else None
            answer = class_prediction(each.place, row, each.error, facts.classes)
            doubt = _too_long(each, vocabulary, facts) if answer.error is None else ""
            yield TextAnswer(**vars(answer), doubt=doubt)


def _known(asked: AskedText, vocabulary: Vocabulary) -> AskedText:
    """Return a text, with an error where the network would read nothing but unknown symbols."""
    if asked.error is not None or not knows_nothing(vocabulary, asked.text):
        return asked
    kind = "words" if isinstance(vocabulary, Words) else "characters"
    return replace(asked, error=f"{asked.place}: the network knows none of its {kind}")


def _too_long(asked: AskedText, vocabulary: Vocabulary, facts: TextFacts) -> str:
    """Return a sentence where a text is longer than any that was trained on."""
    symbols = len(vocabulary.encode(asked.text)) + 1
    if symbols <= facts.longest:
        return ""
    return (
        f"{asked.place}: has {symbols:,} symbols, more than the {facts.longest:,} of the longest "
        "text that was trained on"
    )


TASK = ClassifyText()
