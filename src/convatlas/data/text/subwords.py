"""Subwords by sentencepiece: pieces of words, chosen by the training part alone.

Source: Kudo, Richardson, "SentencePiece", EMNLP 2018, arXiv:1808.06226 (unigram model).
"""

import base64
import binascii
import io
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from convatlas.data.packages import needed
from convatlas.data.text.vocabulary import SUBWORDS
from convatlas.errors import DataError
from convatlas.text import printable
from convatlas.text.symbols import END, FIRST_SYMBOL, PADDING, UNKNOWN

MAX_TEXTS = 500_000  # that pieces are made from; of more, evenly spaced ones
MAX_ALPHABET = 1000  # that all become pieces; of more, as in Chinese, the rare ones are unknown
COVERAGE = 0.9998  # of the text, by its characters, where there are more


class Subwords:
    """A symbol for each piece.

    Args:
        model: of sentencepiece, in base64: plain data without code.
    """

    def __init__(self, model: str):
        self.model = model
        try:
            proto = base64.b64decode(model, validate=True)
            self._pieces = _sentencepiece().SentencePieceProcessor(model_proto=proto)
        except (binascii.Error, RuntimeError, ValueError) as error:
            raise DataError(f"the stored subwords are damaged ({printable(error)})") from None
        ids = (self._pieces.pad_id(), self._pieces.eos_id(), self._pieces.unk_id())
        if ids != (PADDING, END, UNKNOWN):
            raise DataError(f"subwords must have the special symbols 0, 1 and 2, got {ids}")

    @classmethod
    def of(cls, texts: Sequence[str], count: int) -> "Subwords":
        """Make pieces of texts; the same ones give the same pieces.

        Args:
            count: of pieces, special ones included; fewer where the texts have no more.

        Raises:
            DataError: `count` has no room for the characters.
        """
        texts = texts[:: -(-len(texts) // MAX_TEXTS)]
        few = len(set().union(*texts)) <= MAX_ALPHABET
        written = io.BytesIO()
        try:
            _sentencepiece().SentencePieceTrainer.train(
                sentence_iterator=iter(texts),
                model_writer=written,
                vocab_size=count,
                hard_vocab_limit=False,
                character_coverage=1.0 if few else COVERAGE,
                normalization_rule_name="identity",  # the texts are in composed form already
                pad_id=PADDING,
                eos_id=END,
                unk_id=UNKNOWN,
                bos_id=-1,
                num_threads=1,  # sums of several threads differ from run to run
                minloglevel=2,
            )
        except RuntimeError as error:
            reason = " ".join(str(error).split())[-200:]
            raise DataError(
                f"no {count:,} subwords can be made of the training part "
                f"({printable(reason)}); --set subwords= takes another number"
            ) from None
        return cls(base64.b64encode(written.getvalue()).decode())

    def __len__(self) -> int:
        return self._pieces.get_piece_size()

    def encode(self, text: str) -> list[int]:
        return list(self._pieces.encode(text))

    def decode(self, symbols: Iterable[int]) -> str:
        return self._pieces.decode([s for s in symbols if s >= FIRST_SYMBOL])

    def unknown(self, text: str) -> list[str]:
        return [c for c in dict.fromkeys(text) if not c.isspace() and c not in self._characters]

    @cached_property
    def _characters(self) -> set[str]:
        """The characters that are pieces of their own: each other one is unknown."""
        pieces = map(self._pieces.id_to_piece, range(FIRST_SYMBOL, len(self)))
        return {piece for piece in pieces if len(piece) == 1}

    def to_dict(self) -> dict[str, Any]:
        return {"kind": SUBWORDS, "model": self.model}


def _sentencepiece() -> Any:
    return needed("sentencepiece", "subwords", "sentencepiece", "text")
