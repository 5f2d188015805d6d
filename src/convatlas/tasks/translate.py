"""A sentence of one language in, the same in another one out."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from convatlas.data.sources.stored_parts import learnt_digests, parsed
from convatlas.data.statistics import Statistics
from convatlas.data.text.asked_texts import asked_texts
from convatlas.data.text.open_pairs import (
    LAYOUTS,
    holds_pairs,
    open_pairs,
    open_pairs_test,
    reopen_pairs,
)
from convatlas.data.text.pair_data import PairData, PairFacts, PairSplit
from convatlas.data.text.statistics import text_statistics
from convatlas.deploy.translator import Translator
from convatlas.errors import DataError, UsageError
from convatlas.explain.translations.evaluation import TranslationEvaluation, evaluate_translations
from convatlas.explain.translations.prediction import COLUMNS, CSV_COLUMNS
from convatlas.metric import Metric
from convatlas.models.registry import Entry
from convatlas.search.space import width_sweeps
from convatlas.tasks.onnx_translate_snippet import translate_runtime_code
from convatlas.tasks.reads_text import evenly_spaced, refuse_reading
from convatlas.tasks.reopened import agreeing
from convatlas.tasks.report_content import ReportContent
from convatlas.tasks.sections.translations import show_translations
from convatlas.tasks.task import Task
from convatlas.tasks.translate_options import check_translate_options, score_of
from convatlas.tasks.translate_texts import translate_texts
from convatlas.tasks.trial_pairs import TrialPairs
from convatlas.text import printable
from convatlas.train.recipe import Recipe
from convatlas.train.translation_figures import CHRF, check_scores

RECIPE = Recipe(lr=2e-3, weight_decay=0.01, batch_size=64)


class TranslateSentences(Task[PairData, TranslationEvaluation]):
    """Translate sentences."""

    name = "translate"
    before = ("classify",)  # whose tables a TSV or CSV file might be
    metric = CHRF
    items = "sentences"
    layouts = LAYOUTS
    columns = COLUMNS
    next = "sentences.txt"
    asking = "Translate new sentences"
    recipe = RECIPE

    def takes(self, source: str | Path) -> bool:
        return holds_pairs(Path(source))

    def check_options(self, options: Mapping[str, Any]) -> None:
        check_translate_options(options)
        check_scores()

    def metric_for(self, options: Mapping[str, Any]) -> Metric:
        return score_of(options)

    def judged_by(self, evaluation, metric):
        return evaluation

    def open(self, source, *, seed, max_broken, options, progress) -> PairData:
        return open_pairs(
            source, seed=seed, max_broken=max_broken, options=options, progress=progress
        )

    def open_test(self, source, facts, *, max_broken, progress) -> PairData:
        known = PairFacts.model_validate(facts)
        return open_pairs_test(source, known, max_broken=max_broken, progress=progress)

    def reopen(self, stored, source, facts) -> PairData:
        return agreeing(
            reopen_pairs(stored, source, PairFacts.model_validate(facts)), stored, facts
        )

    def learnt_from(self, stored) -> set[str] | None:
        return learnt_digests(parsed(stored)["splits"])

    def with_options(self, facts, options) -> dict[str, Any]:
        refuse_reading(self.name, options)
        return dict(facts)

    def check(self, facts, settings, run) -> None:
        known = PairFacts.model_validate(facts)
        try:
            sizes = map(len, known.vocabularies())
        except DataError as error:
            raise ValueError(f"facts: {error}") from None
        for option, size in zip(("source_symbols", "target_symbols"), sizes, strict=True):
            if run.options.get(option, size) != size:
                raise ValueError(f"options: {option} is {run.options[option]}, not {size}")

    def fresh(self, entries: Sequence[Entry], data: PairData, *, fixed_width: bool):
        source, target = data.facts_.vocabularies()
        options = {"source_symbols": len(source), "target_symbols": len(target)}
        forms = [({"tokens": data.facts_.usual_symbols}, {})]
        return {
            entry.name: width_sweeps(entry, options=options, forms=forms, fixed_width=fixed_width)
            for entry in entries
        }

    def pretrained(self, checkpoints, data):
        raise UsageError("there are no public weights for the task translate")

    def input_words(self, example) -> str:
        return f"{example['tokens']} symbols"

    def trial_data(self, data: PairData, recipe, options, progress) -> TrialPairs:
        return TrialPairs(data, options, progress)

    def settings(self, candidate, facts) -> dict[str, Any]:
        return {}

    def predictor(self, network: nn.Module, settings, facts) -> Translator:
        return Translator(network, PairFacts.model_validate(facts))

    def sample(self, split: PairSplit, count: int) -> list[tuple[Tensor, Tensor]]:
        return evenly_spaced(split, count)

    def predict(self, predictor, asked, facts, progress):
        return None, translate_texts(predictor, asked_texts(asked))

    def evaluate(self, predictor, split: PairSplit, facts, progress) -> TranslationEvaluation:
        assert isinstance(predictor, Translator)
        known = PairFacts.model_validate(facts)
        return evaluate_translations(predictor.translate, split, known, progress, self.items)

    def csv_columns(self, top: int) -> list[str]:
        return list(CSV_COLUMNS)

    def describe_facts(self, facts) -> list[tuple[str, str]]:
        known = PairFacts.model_validate(facts)
        return [("languages", f"{printable(known.source_name)} to {printable(known.target_name)}")]

    def describe_settings(self, settings, facts) -> list[tuple[str, str]]:
        known = PairFacts.model_validate(facts)
        source, target = known.vocabularies()
        kind = known.source_vocabulary["kind"]
        return [
            ("read", f"{len(source):,} {kind} of {printable(known.source_name)}"),
            ("write", f"{len(target):,} {kind} of {printable(known.target_name)}"),
            ("longest sentence", f"{known.longest_source} symbols, as in the training part"),
        ]

    def show(self, evaluation: TranslationEvaluation, data: PairData, scan) -> ReportContent:
        return show_translations(evaluation, data)

    def statistics(
        self, data: PairData, split: str, progress: Callable[[int, int], None]
    ) -> list[Statistics]:
        part, known = data.splits[split], data.facts_
        source, target = part.vocabularies
        return text_statistics(
            {
                known.source_name: (part.sources, source),
                known.target_name: (part.references, target),
            }
        )

    def runtime_code(self, path: Path, run) -> str:
        return translate_runtime_code(path, PairFacts.model_validate(run.facts))


TASK = TranslateSentences()
