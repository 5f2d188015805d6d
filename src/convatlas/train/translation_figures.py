"""BLEU and chrF of translations, by sacrebleu with its usual settings."""

import json
from collections.abc import Sequence
from typing import Any

from convatlas.data.packages import needed
from convatlas.metric import Metric

CHRF = Metric("chrf", "chrF")
BLEU = Metric("bleu", "BLEU")
RESAMPLED = 1000  # times, as sacrebleu does unless told otherwise
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


def translation_interval(
    metric: Metric, translations: Sequence[str], references: Sequence[str]
) -> tuple[float, float]:
    """Return where a score lies with 95 % confidence, sentences drawn anew (Koehn 2004).

    Raises:
        DataError: sacrebleu is not installed.
    """
    sacrebleu = _sacrebleu()
    scorer = sacrebleu.CHRF() if metric.key == CHRF.key else sacrebleu.BLEU(force=True)
    score = scorer.corpus_score(list(translations), [list(references)], n_bootstrap=RESAMPLED)
    told = score.format(width=6, signature=str(scorer.get_signature()), is_json=True)
    half = json.loads(told).get("confidence_var", 0.0)  # without it where every score is 0
    return score.score - half, score.score + half


def check_scores() -> None:
    """Refuse to begin where the scores cannot be computed.

    Raises:
        DataError: sacrebleu is not installed.
    """
    _sacrebleu()


def _sacrebleu() -> Any:
    return needed("sacrebleu", "scores of translations", "sacrebleu", "text")
