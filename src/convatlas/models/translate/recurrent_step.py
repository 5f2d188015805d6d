"""One step of an LSTM or RNN whose weights another, smaller one may scale anew each time.

The functions take weights by name, so that a tracer can follow the text from symbol to symbol:
`input`, `recurrent`, `bias`; with layer norm `gain`, `offset`, and of an LSTM's memory `cell_gain`,
`cell_offset`; the same of the small network under `small_`, and `small_main`, by which it reads the
large one; `mix`, `mix_bias`, `scale`, `bias_mix`, `bias_scale`, which turn its state into factors.

Source: Ha, Dai, Le, "HyperNetworks", 2016, arXiv:1609.09106, section 3.2 and appendix A.2, and the
    authors' repository hardmaru/supercell.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def next_state(
    symbol: Tensor, weights: dict[str, Tensor], state: list[Tensor], dropout: float
) -> list[Tensor]:
    """Read one symbol.

    Args:
        state: hidden vector and memory of the LSTM, the hidden vector alone of an RNN; then the
            same of the small network, if there is one.
        dropout: fraction of symbols left out, and of what is written into a memory; 0 outside of
            training.

    Shape: symbol (n,), state (n, hidden) or (n, small hidden) each -> the same state
    """
    n, hidden = state[0].shape
    gates = weights["bias"].numel() // hidden
    lstm = gates > 1
    kept = F.dropout(torch.ones_like(state[0][:, :1]), dropout, dropout > 0)
    of_input = (F.embedding(symbol, weights["input"]) * kept).reshape(n, gates, hidden)
    of_hidden = (state[0] @ weights["recurrent"]).reshape(n, gates, hidden)
    bias = weights["bias"].reshape(gates, hidden)
    own = 2 if lstm else 1
    small: list[Tensor] = state[own:]
    if "small_main" in weights:
        context = small[0]  # section 3.2.1: an RNN is scaled by the state before this symbol
        sums = F.embedding(symbol, weights["small_input"]) * kept + weights["small_bias"]
        sums = sums + state[0] @ weights["small_main"] + small[0] @ weights["small_recurrent"]
        small = updated(sums.reshape(n, gates, -1), small, weights, "small_", dropout)
        if lstm:
            context = small[0]  # as the authors' code has it
        scale = weights["scale"]
        z = (context @ weights["mix"] + weights["mix_bias"]).reshape(n, 2 * gates, -1)
        factors = torch.einsum("ngz,gzh->ngh", z, scale)
        of_input = of_input * factors[:, :gates]
        of_hidden = of_hidden * factors[:, gates:]
        z = (context @ weights["bias_mix"]).reshape(n, gates, -1)
        of_hidden = of_hidden + torch.einsum("ngz,gzh->ngh", z, weights["bias_scale"])
    return updated(of_input + of_hidden + bias, state[:own], weights, "", dropout) + small


def updated(
    sums: Tensor, state: list[Tensor], weights: dict[str, Tensor], prefix: str, dropout: float
) -> list[Tensor]:
    """Return the state behind the sums of what the gates read.

    Shape: sums (n, gates, hidden), gates i, j, f, o of an LSTM, one of an RNN
    """
    hidden, eps = sums.size(2), 1e-3
    if prefix + "gain" in weights:
        sums = F.layer_norm(sums, [hidden], eps=eps)
        sums = sums * weights[prefix + "gain"] + weights[prefix + "offset"]
    if sums.size(1) == 1:
        return [torch.tanh(sums[:, 0])]
    write = F.dropout(torch.tanh(sums[:, 1]), dropout, dropout > 0)
    kept = state[1] * torch.sigmoid(sums[:, 2] + 1.0)  # it forgets little at first
    memory = kept + torch.sigmoid(sums[:, 0]) * write
    shown = memory
    if prefix + "cell_gain" in weights:
        shown = F.layer_norm(memory, [hidden], eps=eps)
        shown = shown * weights[prefix + "cell_gain"] + weights[prefix + "cell_offset"]
    return [torch.tanh(shown) * torch.sigmoid(sums[:, 3]), memory]


def read_text(
    text: Tensor, weights: dict[str, Tensor], state: list[Tensor], dropout: float
) -> Tensor:
    """Read a text symbol by symbol and return the hidden vector behind each.

    An exporter gets one loop instead of a copy of the step for each symbol, so that the exported
    program reads texts of any length.

    Shape: text (n, l) -> (n, l, hidden)
    """
    # TorchScript reads no further than a condition of its own.
    if not torch.jit.is_scripting():  # noqa: SIM102  # pyright: ignore[reportPrivateImportUsage]
        if torch.compiler.is_exporting():  # pyright: ignore[reportPrivateImportUsage]
            return _exported(text, weights, state)
    hidden: list[Tensor] = []
    for place in range(text.size(1)):
        state = next_state(text[:, place], weights, state, dropout)
        hidden.append(state[0])
    return torch.stack(hidden, 1)


@torch.jit.unused
def _exported(text: Tensor, weights: dict[str, Tensor], state: list[Tensor]) -> Tensor:
    """Read a text by torch's scan, which ONNX has as well. Shape: as in `read_text`"""
    from torch._higher_order_ops.scan import scan

    def read(before: list[Tensor], symbol: Tensor) -> tuple[list[Tensor], Tensor]:
        after = next_state(symbol, weights, before, 0.0)
        return after, after[0].clone()  # the two may not share memory

    _, hidden = scan(read, [each.clone() for each in state], text.transpose(0, 1), dim=0)
    return hidden.transpose(0, 1)
