"""HyperLSTM: an LSTM whose weights a smaller LSTM scales anew at each symbol.

The small network reads the symbol and the large one's state. Short vectors made of its own state
turn into a factor for each row of the large one's weights, and into its biases. Beside it the
networks that it is compared with: LSTM and layer-normalised LSTM; and HyperRNN, the simplest form.

Source:  Ha, Dai, Le, "HyperNetworks", 2016, arXiv:1609.09106, section 3.2, tables 3 and 4, and the
         authors' repository hardmaru/supercell.
Claims:  claims/hyper_lstm.toml
Differs: one layer; the paper's networks of two are not built. Weights of the input are drawn as
         Glorot has it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convatlas.blocks import check_option
from convatlas.errors import UsageError
from convatlas.models.registry import register
from convatlas.models.symbol_input import (
    check_symbols,
    check_vocabulary,
    random_symbols,
    shift_right,
)
from convatlas.models.translate.recurrent_step import next_state, read_text

torch.fx.wrap("read_text")  # a tracer cannot follow a loop as long as the text
CELLS = {"lstm": 4, "rnn": 1}  # gates
INITIAL_SCALE = 0.1  # with which every weight begins


class HyperLSTM(nn.Module):
    """Language model of one recurrent layer over symbols, their vectors one-hot.

    Args:
        symbols: size of the vocabulary; 50 in Penn Treebank, 205 in enwik8.
        hidden: length of the state.
        small: of the small network's state; 0 for none, which makes an ordinary LSTM.
        embedding: length of the vectors that make the factors.
        norm: layer normalisation of what each gate reads and of the memory, in both networks.
        cell: `lstm`, or `rnn` with tanh and no gates.
        dropout: in training, fraction zeroed of symbols, of what is written and of the output.
        width: multiplies `hidden` and `small`.

    Shape: (n, l) int64 -> (n, l, symbols) logits; those of place t follow from the symbols before t

    Raises:
        UsageError: an option that has no such form.
    """

    def __init__(
        self,
        *,
        symbols: int = 50,
        hidden: int = 1000,
        small: int = 128,
        embedding: int = 4,
        norm: bool = False,
        cell: str = "lstm",
        dropout: float = 0.1,
        width: float = 1.0,
    ):
        super().__init__()
        check_vocabulary("HyperLSTM", symbols=symbols)
        check_option("HyperLSTM", "cell", cell, tuple(CELLS))
        if hidden < 1 or small < 0 or embedding < 1:
            raise UsageError(
                "HyperLSTM: hidden and embedding must be 1 or more and small 0 or more, got "
                f"{hidden}, {embedding} and {small}"
            )
        hidden = max(1, round(hidden * width))
        small = max(1, round(small * width)) if small else 0
        gates = CELLS[cell]
        self.symbols, self.hidden, self.small, self.dropout = symbols, hidden, small, dropout
        self.memories = gates > 1
        self.weights = nn.ParameterDict(_layer(symbols, hidden, gates, norm=norm))
        if small:
            inner = _layer(symbols, small, gates, norm=norm)
            self.weights.update({f"small_{name}": weight for name, weight in inner.items()})
            self.weights.update(_factors(hidden, small, gates, embedding))
        self.scores = nn.Linear(hidden, symbols)

    def forward(self, text: Tensor) -> Tensor:
        check_symbols(text, "HyperLSTM", "text")
        dropout = self.dropout if self.training else 0.0
        zero = self.scores.weight.new_zeros(1, 1)
        state = [zero.expand(text.size(0), length) for length in self._lengths()]
        hidden = read_text(shift_right(text), dict(self.weights.items()), state, dropout)
        return self.scores(F.dropout(hidden, dropout, dropout > 0))

    def start(self, batch: int) -> tuple[Tensor, ...]:
        """Return the state of a batch before its first symbols, all zeros."""
        return tuple(self.scores.weight.new_zeros(batch, each) for each in self._lengths())

    def step(self, symbol: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the logits of the next symbol and the state behind the last one.

        Args:
            symbol: the last; `PADDING` at the start.

        Shape: (n,) -> (n, symbols)
        """
        after = next_state(symbol, dict(self.weights.items()), list(state), 0.0)
        return self.scores(after[0]), tuple(after)

    def _lengths(self) -> list[int]:
        """Of the vectors of the state: hidden and memory, then those of the small network."""
        each = 2 if self.memories else 1
        return [self.hidden] * each + [self.small] * (each if self.small else 0)

    def example(self, batch: int = 1, tokens: int = 50) -> tuple[Tensor]:
        """Return random texts.

        Args:
            batch: number of texts.
            tokens: symbols of each.
        """
        return (random_symbols(batch, tokens, self.symbols),)

    @classmethod
    def tiny(cls) -> "tuple[HyperLSTM, tuple[Tensor]]":
        """Build the smallest honest network and a batch of two: for tests and first steps."""
        model = cls(symbols=11, hidden=6, small=4, embedding=2, norm=True)
        for name in ("mix", "bias_scale"):  # zeros at first, behind which nothing learns yet
            nn.init.normal_(model.weights[name], std=0.3)
        return model, model.example(batch=2, tokens=7)


def _layer(symbols: int, hidden: int, gates: int, *, norm: bool) -> dict[str, nn.Parameter]:
    """Draw the weights of a recurrent layer by itself."""
    bound = (6 / (symbols + hidden)) ** 0.5  # Glorot's, of each gate
    weights = {
        "input": nn.init.uniform_(torch.empty(symbols, gates * hidden), -bound, bound),
        "recurrent": torch.empty(hidden, gates * hidden),
        "bias": torch.zeros(gates * hidden),
    }
    if not weights["recurrent"].is_meta:  # on shapes alone there is nothing to draw
        for part in weights["recurrent"].chunk(gates, 1):
            nn.init.orthogonal_(part)
    if norm:
        weights |= {"gain": torch.ones(gates, hidden), "offset": torch.zeros(gates, hidden)}
    if norm and gates > 1:
        weights |= {"cell_gain": torch.ones(hidden), "cell_offset": torch.zeros(hidden)}
    return {name: nn.Parameter(weight) for name, weight in weights.items()}


def _factors(hidden: int, small: int, gates: int, embedding: int) -> dict[str, nn.Parameter]:
    """Make what turns the small state into factors of 0.1 and no biases, until it has learned."""
    scale = torch.full((2 * gates, embedding, hidden), INITIAL_SCALE / embedding)
    bias_mix = nn.init.normal_(torch.empty(small, gates * embedding), std=0.01)
    bound = (6 / (hidden + small)) ** 0.5
    weights = {
        "small_main": nn.init.uniform_(torch.empty(hidden, gates * small), -bound, bound),
        "mix": torch.zeros(small, 2 * gates * embedding),
        "mix_bias": torch.ones(2 * gates * embedding),
        "scale": scale,
        "bias_mix": bias_mix,
        "bias_scale": torch.zeros(gates, embedding, hidden),
    }
    return {name: nn.Parameter(weight) for name, weight in weights.items()}


ENWIK8 = {"symbols": 205, "hidden": 1800}
register("hyper_lstm", HyperLSTM, "language")
register("hyper_lstm_norm", HyperLSTM, "language", norm=True)
register("hyper_lstm_norm_large", HyperLSTM, "language", norm=True, embedding=16)
register("hyper_lstm_enwik8", HyperLSTM, "language", **ENWIK8, small=256, embedding=64)
register("hyper_rnn_norm", HyperLSTM, "language", norm=True, cell="rnn")
register("lstm", HyperLSTM, "language", small=0)
register("lstm_norm", HyperLSTM, "language", small=0, norm=True)
register("lstm_enwik8", HyperLSTM, "language", **ENWIK8, small=0)
# Which a CPU can train.
register("hyper_lstm_small", HyperLSTM, "language", hidden=128, small=32, norm=True)
register("lstm_small", HyperLSTM, "language", hidden=160, small=0, norm=True)
