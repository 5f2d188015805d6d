"""BLEU and chrF of translations, by sacrebleu with its usual settings."""

from collections.abc import Sequence
from typing import Any

from convatlas.data.packages import needed
from convatlas.metric import Metric

CHRF = Metric("chrf", "chrF")
BLEU = Metric("bleu", "BLEU")
METRICS = {metric.key: metric for metric in (CHRF, BLEU)}


def translation_figures(translations: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """Return `chrf` and `bleu` of translations, from 0 to 100.

    chrF counts sequences of up to six characters (Popovic 2015), BLEU of up to four words
    (Papineni et al. 2002), both over all sentences together.

    Raises:
        DataError: sacrebleu is not installed.
    """
    truth = [list(references)]
    return {
        CHRF.key: float(_sacrebleu().corpus_chrf(list(translations), truth).score),
        BLEU.key: float(_sacrebleu().corpus_bleu(list(translations), truth, force=True).score),
    }


def check_scores() -> None:
    """Refuse to begin where the scores cannot be computed.

    Raises:
        DataError: sacrebleu is not installed.
    """
    _sacrebleu()


def _sacrebleu() -> Any:
    return needed("sacrebleu", "scores of translations", "sacrebleu", "text")
