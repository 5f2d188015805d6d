"""ByteNet: translate characters by dilated convolutions, in time that grows with the length alone.

The decoder stands on the encoder: what it writes at a place reads the encoder's output there. There
is no attention, and nothing is squeezed into one vector. So that a longer translation finds
something to read, the source is lengthened by a fifth before it is encoded.

Source:  Kalchbrenner, Espeholt, Simonyan, van den Oord, Graves, Kavukcuoglu, "Neural Machine
         Translation in Linear Time", 2016, arXiv:1610.10099.
Claims:  claims/bytenet.toml
Differs: source and target meet by concatenation and a 1 x 1 convolution, which the sheet of the
         paper leaves open; the decoder begins with the vector of padding.
"""

from collections.abc import Sequence
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convatlas.errors import UsageError
from convatlas.models.registry import register
from convatlas.models.symbol_input import (
    SymbolEmbedding,
    check_symbols,
    check_vocabulary,
    places,
    random_symbols,
    shift_right,
)
from convatlas.models.translate.bytenet_block import ByteNetStack, SymbolScores
from convatlas.models.translate.time_conv import Past, causal_filters, empty_past
from convatlas.text.symbols import PADDING

DILATIONS = (1, 2, 4, 8, 16)
HIDDEN = 800  # d of the translator; blocks have 2 d channels
TOKENS = 50  # of the example; sentences are padded to multiples of it in training


class ByteNet(nn.Module):
    """Translator of characters.

    Args:
        source_symbols: size of the source's vocabulary, padding, end and unknown included.
        target_symbols: of the target's.
        hidden: d of the paper; blocks read and return 2 d channels.
        kernel: symbols that a filter reads.
        sets: of blocks, in encoder and decoder each.
        dilations: of the blocks of a set.
        unfold: length of the encoder's output over that of the source, rounded up.
        form: of the blocks: `relu` as published for translation, or `multiplicative`.
        dropout: fraction set to zero before the last layer, in training.
        width: multiplies `hidden`.

    Shape: source (n, l), target (n, m), int64 -> (n, m, target_symbols) logits; those of place t
        follow from the source and the target before t. Padding of the source has no influence.

    Raises:
        UsageError: an option that has no such form.
    """

    def __init__(
        self,
        *,
        source_symbols: int = 300,
        target_symbols: int = 327,
        hidden: int = HIDDEN,
        kernel: int = 3,
        sets: int = 6,
        dilations: Sequence[int] = DILATIONS,
        unfold: float = 1.2,
        form: str = "relu",
        dropout: float = 0.0,
        width: float = 1.0,
    ):
        super().__init__()
        check_vocabulary("ByteNet", source_symbols=source_symbols, target_symbols=target_symbols)
        if unfold < 1:
            raise UsageError(f"ByteNet: unfold must be 1 or more, got {unfold}")
        channels = 2 * max(1, round(hidden * width))
        # As a fraction: in floating point 1.1 x 10 is more than 11.
        self.unfold = Fraction(unfold).limit_denominator(1000).as_integer_ratio()
        self.source_symbols, self.target_symbols = source_symbols, target_symbols
        self.source_vectors = SymbolEmbedding(source_symbols, channels)
        self.target_vectors = SymbolEmbedding(target_symbols, channels)
        self.encoder = _stack(channels, kernel, sets, dilations, form, causal=False)
        self.join = nn.Conv1d(2 * channels, channels, 1)
        self.decoder = _stack(channels, kernel, sets, dilations, form, causal=True)
        self.scores = SymbolScores(channels, target_symbols, dropout=dropout)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        check_symbols(target, "ByteNet", "target")
        (encoded,) = self.encode(source)
        # Past the encoder's output a place reads zeros.
        length = target.size(1)
        read = F.pad(encoded.transpose(1, 2), (0, length))[:, :, :length]
        return self._decode(shift_right(target), read, None)

    def encode(self, source: Tensor) -> tuple[Tensor]:
        """Return the encoder's output, longer than the source.

        Shape: (n, l) -> (n, ceil(unfold l), channels), zeros past a sequence's own length
        """
        check_symbols(source, "ByteNet", "source")
        more, of = self.unfold
        length = source.size(1)
        longer = F.pad(source, (0, (length * more + of - 1) // of - length), value=float(PADDING))
        own = (source != PADDING).sum(1, keepdim=True)
        mask = (places(longer) * of < own * more).unsqueeze(1)  # place < unfold x length
        y = self.source_vectors(longer)
        mask = mask.to(y.dtype)
        return ((self.encoder(y * mask, mask) * mask).transpose(1, 2),)

    def start(self, memory: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the state in which nothing is written: the place, and zeros for each filter.

        Shape: (n,), and (n, channels, reach) for each causal filter
        """
        (encoded,) = memory
        place = torch.zeros(encoded.shape[0], dtype=torch.int64, device=encoded.device)
        return place, *empty_past(causal_filters(self), encoded)

    def step(
        self, symbol: Tensor, memory: Sequence[Tensor], state: Sequence[Tensor]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the logits of the next symbol and the state behind the last one.

        Args:
            symbol: the last that was written; `PADDING` at the start.

        Shape: (n,) -> (n, target_symbols)
        """
        (encoded,), place = memory, state[0]
        past = Past(causal_filters(self), state[1:])
        last = encoded.shape[1] - 1
        at = place.clamp(max=last)[:, None, None].expand(-1, 1, encoded.shape[2])
        read = encoded.gather(1, at) * (place <= last)[:, None, None].to(encoded.dtype)
        logits = self._decode(symbol.unsqueeze(1), read.transpose(1, 2), past)
        return logits.squeeze(1), (place + 1, *past.state())

    def _decode(self, written: Tensor, read: Tensor, past: Past | None) -> Tensor:
        y = self.join(torch.cat([read, self.target_vectors(written)], dim=1))
        return self.scores(self.decoder(y, None, past))

    def target_length(self, source_length: int) -> int:
        """Return how far the network unfolds by itself: the length of the encoder's output."""
        more, of = self.unfold
        return -(-source_length * more // of)

    def example(self, batch: int = 1, tokens: int = TOKENS) -> tuple[Tensor, Tensor]:
        """Return random sources and targets of one length.

        Args:
            batch: number of pairs.
            tokens: symbols of each.
        """
        source = random_symbols(batch, tokens, self.source_symbols)
        return source, random_symbols(batch, tokens, self.target_symbols)

    @classmethod
    def tiny(cls) -> "tuple[ByteNet, tuple[Tensor, Tensor]]":
        """Build the smallest honest network and a batch of two: for tests and first steps."""
        model = cls(
            source_symbols=11, target_symbols=13, hidden=6, sets=1, dilations=(1, 2), dropout=0.1
        )
        return model, model.example(batch=2, tokens=7)


class ByteNetLM(nn.Module):
    """Language model: the decoder alone, which foretells each byte from those before it.

    Args:
        symbols: size of the vocabulary; all bytes and the three special symbols.
        hidden: d of the paper; blocks read and return 2 d channels.
        kernel: symbols that a filter reads.
        sets: of blocks.
        dilations: of the blocks of a set.
        form: of the blocks: `multiplicative` as published, or `relu`.
        dropout: fraction of the last ReLU set to zero, in training.
        width: multiplies `hidden`.

    Shape: (n, l) int64 -> (n, l, symbols) logits; those of place t follow from the symbols before t

    Raises:
        UsageError: an option that has no such form.
    """

    def __init__(
        self,
        *,
        symbols: int = 259,
        hidden: int = 512,
        kernel: int = 3,
        sets: int = 6,
        dilations: Sequence[int] = DILATIONS,
        form: str = "multiplicative",
        dropout: float = 0.1,
        width: float = 1.0,
    ):
        super().__init__()
        check_vocabulary("ByteNetLM", symbols=symbols)
        channels = 2 * max(1, round(hidden * width))
        self.symbols = symbols
        self.vectors = SymbolEmbedding(symbols, channels)
        self.decoder = _stack(channels, kernel, sets, dilations, form, causal=True)
        self.scores = SymbolScores(channels, symbols, dropout=dropout)

    def forward(self, text: Tensor) -> Tensor:
        check_symbols(text, "ByteNetLM", "text")
        return self.scores(self.decoder(self.vectors(shift_right(text))))

    def start(self, batch: int) -> tuple[Tensor, ...]:
        """Return the state of a batch before its first symbols: zeros for each filter."""
        like = next(self.parameters()).detach()
        return empty_past(causal_filters(self), like.new_zeros(batch))

    def step(self, symbol: Tensor, state: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the logits of the next symbol and the state behind the last one.

        Args:
            symbol: the last; `PADDING` at the start.

        Shape: (n,) -> (n, symbols)
        """
        past = Past(causal_filters(self), state)
        y = self.decoder(self.vectors(symbol.unsqueeze(1)), None, past)
        return self.scores(y).squeeze(1), past.state()

    def example(self, batch: int = 1, tokens: int = 500) -> tuple[Tensor]:
        """Return random texts, by default of the length that is trained on.

        Args:
            batch: number of texts.
            tokens: symbols of each.
        """
        return (random_symbols(batch, tokens, self.symbols),)

    @classmethod
    def tiny(cls) -> "tuple[ByteNetLM, tuple[Tensor]]":
        """Build the smallest honest network and a batch of two: for tests and first steps."""
        model = cls(symbols=11, hidden=6, sets=1, dilations=(1, 2))
        return model, model.example(batch=2, tokens=7)


def _stack(
    channels: int, kernel: int, sets: int, dilations: Sequence[int], form: str, *, causal: bool
) -> ByteNetStack:
    return ByteNetStack(
        channels, kernel, sets=sets, dilations=tuple(dilations), causal=causal, form=form
    )


register("bytenet", ByteNet, "translate")
register("bytenet_small", ByteNet, "translate", hidden=96, sets=3)  # which a CPU can train
register("bytenet_lm", ByteNetLM, "language")
register("bytenet_lm_small", ByteNetLM, "language", hidden=32, sets=2)
