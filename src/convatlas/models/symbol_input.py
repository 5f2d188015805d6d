"""Symbols as networks read and write them: their check, places, vectors and shift by one.

`text/symbols.py` says which numbers are special.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convatlas.errors import UsageError
from convatlas.ops.tracing import is_traced
from convatlas.text.symbols import FIRST_SYMBOL, PADDING


class SymbolEmbedding(nn.Module):
    """A vector for each symbol, of about unit variance; its weights also serve as last layer.

    Args:
        symbols: size of the vocabulary, the special ones included.

    Shape: (n, l) whole numbers -> (n, channels, l)
    """

    def __init__(self, symbols: int, channels: int):
        super().__init__()
        self.scale = channels**0.5
        self.embedding = nn.Embedding(symbols, channels, _weight=_drawn(symbols, channels))

    def forward(self, symbols: Tensor) -> Tensor:
        return self.embedding(symbols).transpose(1, 2) * self.scale

    def scores(self, x: Tensor) -> Tensor:
        """Return how well each symbol's vector fits. Shape: (n, channels, l) -> (n, l, symbols)"""
        return F.linear(x.transpose(1, 2), self.embedding.weight)


def _drawn(symbols: int, channels: int) -> Tensor:
    """Draw from N(0, 1 / channels), so that scores begin with about the variance of their input."""
    return nn.init.normal_(torch.empty(symbols, channels), std=channels**-0.5)


def shift_right(target: Tensor) -> Tensor:
    """Put padding, which stands for nothing yet, before the first symbol and leave out the last.

    Shape: (n, l) -> (n, l)
    """
    return F.pad(target, (1, 0), value=float(PADDING))[:, :-1]


def places(symbols: Tensor) -> Tensor:
    """Return the place of each symbol in its sequence, from 0 on. Shape: (n, l) -> (n, l)"""
    return torch.ones_like(symbols).cumsum(1) - 1


def random_symbols(batch: int, tokens: int, symbols: int) -> Tensor:
    """Draw symbols of the vocabulary, none of the special ones. Shape: (batch, tokens)"""
    return torch.randint(min(FIRST_SYMBOL, symbols - 1), symbols, (batch, tokens))


def check_symbols(x: Tensor, model: str, what: str) -> None:
    """Refuse what are no sequences of symbols.

    Args:
        model: the class's name, for the message.
        what: the sequences are: `source` or `target`.

    Raises:
        ValueError: names the form that is expected.
    """
    if torch.jit.is_scripting() or is_traced(x):  # pyright: ignore[reportPrivateImportUsage]
        return
    if x.ndim != 2 or x.dtype != torch.int64:
        raise ValueError(
            f"{model}: {what} must be symbols (n, l), int64, got {tuple(x.shape)}, {x.dtype}"
        )


def check_vocabulary(model: str, **symbols: int) -> None:
    """Refuse vocabularies without room for a symbol of their own.

    Raises:
        UsageError: names the option.
    """
    for option, count in symbols.items():
        if count <= FIRST_SYMBOL:
            raise UsageError(
                f"{model}: {option} must be {FIRST_SYMBOL + 1} or more, of which {FIRST_SYMBOL} "
                f"are padding, end and unknown; got {count}"
            )
