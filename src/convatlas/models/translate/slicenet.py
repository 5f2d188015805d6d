"""SliceNet: translate by separable convolutions with large windows and attention.

Encoder and decoder are stacks of modules of four or five convolutions with two skips. Because a
separable convolution filters each channel alone, windows of up to 63 symbols cost next to nothing,
and no dilation is needed. A super-separable one mixes the channels in slices only, of which
neighbouring layers have 3 and 2 in turn, so that the network can be wider.

Source:  Kaiser, Gomez, Chollet, "Depthwise Separable Convolutions for Neural Machine Translation",
         2017, arXiv:1706.03059, and tensor2tensor's `slicenet.py` of June 2017.
Claims:  claims/slicenet.toml
Differs: where the two disagree the paper's form is built, with the repository's as an option;
         scores are divided by sqrt(depth) before the softmax, as in the repository, and the mixer
         is 4-sub-separable, as there: only so the printed sizes come out. The decoder begins with
         the vector of padding, where the repository has one of the target's language.
"""

from collections.abc import Sequence
from math import lcm

import torch
from torch import Tensor, nn

from convatlas.blocks import check_option
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
from convatlas.models.translate.conv_step import ConvStep
from convatlas.models.translate.time_conv import Past, causal_filters, empty_past
from convatlas.models.translate.timing import TimingSignal
from convatlas.ops.attention import attend
from convatlas.ops.layer_norms import ChannelLayerNorm
from convatlas.text.symbols import PADDING

FORMS = ("paper", "repository")
SHARED = ("none", "target", "all")
MIXER_GROUPS = 4
ATTENTION_STEPS = ((5, 1), (5, 4))  # kernel and dilation
TOKENS = 50  # of the example; no length is published
MIN_MODULE_STEPS = 3  # of a module: two before the first skip, one or more behind it


class _Steps:
    """Makes the steps of a network in its form, each with the groups that are its turn's."""

    def __init__(self, separability: str, groups: Sequence[int], scalar_norms: bool):
        self.separability, self.groups, self.scalar_norms = separability, groups, scalar_norms

    def chain(
        self, channels: int, sizes: Sequence[tuple[int, int]], *, causal: bool
    ) -> nn.ModuleList:
        """Make one step for each pair of kernel and dilation."""
        return nn.ModuleList(
            ConvStep(
                channels,
                channels,
                kernel,
                dilation=dilation,
                separability=self.separability,
                groups=self.groups[place % len(self.groups)],
                causal=causal,
                scalar_norm=self.scalar_norms,
            )
            for place, (kernel, dilation) in enumerate(sizes)
        )


class ConvModule(nn.Module):
    """Steps one after the other, with the input added behind the second and behind the last.

    Args:
        steps: three or more.
        form: what the second skip adds: the module's input (`paper`), or what the second half
            reads (`repository`).
        dropout: fraction of the output set to zero, in training.

    Shape: (n, channels, l) -> (n, channels, l)
    """

    def __init__(self, steps: nn.ModuleList, *, form: str, dropout: float):
        super().__init__()
        self.steps, self.from_middle = steps, form == "repository"
        self.dropout = nn.Dropout(dropout if form == "paper" else 0.0)

    def forward(self, x: Tensor, present: Tensor | None = None, past: Past | None = None) -> Tensor:
        y = middle = x
        for place, step in enumerate(self.steps):
            y = step(y, present, past)
            if place == 1:
                y = middle = x + y
        return self.dropout((middle if self.from_middle else x) + y)


class TimedAttention(nn.Module):
    """Read the source by two steps of the target that know their place.

    Args:
        norm: add the target and normalise, as the repository does.
        scale_outside: divide behind the softmax, as the paper prints it.

    Shape: source (n, m, channels), target (n, channels, l), timing (n, channels, l)
        -> (n, channels, l)
    """

    def __init__(self, channels: int, steps: nn.ModuleList, *, norm: bool, scale_outside: bool):
        super().__init__()
        self.steps, self.scale_outside = steps, scale_outside
        self.norm = ChannelLayerNorm(channels) if norm else None

    def forward(
        self,
        source: Tensor,
        present: Tensor,
        target: Tensor,
        timing: Tensor,
        past: Past | None = None,
    ) -> Tensor:
        y = target + timing
        for step in self.steps:
            y = step(y, None, past)
        read = attend(
            source, y.transpose(1, 2), present=present, scale_outside=self.scale_outside
        ).transpose(1, 2)
        return read if self.norm is None else self.norm(target + read)


class SliceNet(nn.Module):
    """Translator.

    Args:
        source_symbols: size of the source's vocabulary, padding, end and unknown included.
        target_symbols: of the target's.
        depth: channels; rounded to a multiple of what all groups need.
        kernels: windows of a module's steps.
        dilations: as many; None for 1 each.
        separability: of all steps but the mixer's: `none full sub super`, see `ConvStep`.
        groups: of the steps of a module and of the attention, in turn.
        encoder_modules: in the encoder.
        decoder_modules: in the decoder, each with an attention of its own.
        form: `paper` or `repository`: the second skip of a module, dropout in each module or once
            behind each stack, and a norm behind each attention.
        timing: `interleaved` as in the paper, or `repository`.
        attention: without it the decoder sees nothing of the source: for comparison.
        scale_outside: divide the attention behind its softmax, as the paper prints it.
        scalar_norms: one gain and offset a norm, as the paper's text says, not one a channel.
        shared: weights of the last layer: `none` (its own), `target` (the target's vectors) or
            `all` (one vocabulary, and one matrix for source, target and last layer).
        dropout: fraction of the maps set to zero, in training.
        width: multiplies `depth`.

    Shape: source (n, l), target (n, m), int64 -> (n, m, target_symbols) logits; those of place t
        follow from the source and the target before t. Padding of the source has no influence.

    Raises:
        UsageError: an option that has no such form.
    """

    def __init__(
        self,
        *,
        source_symbols: int = 32_768,
        target_symbols: int = 32_768,
        depth: int = 2048,
        kernels: Sequence[int] = (3, 7, 15, 31, 63),
        dilations: Sequence[int] | None = None,
        separability: str = "full",
        groups: Sequence[int] = (1,),
        encoder_modules: int = 6,
        decoder_modules: int = 4,
        form: str = "paper",
        timing: str = "interleaved",
        attention: bool = True,
        scale_outside: bool = False,
        scalar_norms: bool = False,
        shared: str = "target",
        dropout: float = 0.5,
        width: float = 1.0,
    ):
        super().__init__()
        dilations = dilations or (1,) * len(kernels)
        check_option("SliceNet", "form", form, FORMS)
        check_option("SliceNet", "shared", shared, SHARED)
        check_vocabulary("SliceNet", source_symbols=source_symbols, target_symbols=target_symbols)
        _check_sizes(kernels, dilations, shared, source_symbols, target_symbols)
        unit = lcm(*groups, MIXER_GROUPS)
        channels = unit * max(1, round(depth * width / unit))
        steps = _Steps(separability, groups, scalar_norms)
        sizes = tuple(zip(kernels, dilations, strict=True))
        self.depth = channels

        def module(causal: bool) -> ConvModule:
            chain = steps.chain(channels, sizes, causal=causal)
            return ConvModule(chain, form=form, dropout=dropout)

        def reader() -> TimedAttention:
            return TimedAttention(
                channels,
                steps.chain(channels, ATTENTION_STEPS, causal=True),
                norm=form == "repository",
                scale_outside=scale_outside,
            )

        self.source_symbols, self.target_symbols = source_symbols, target_symbols
        self.target_vectors = SymbolEmbedding(target_symbols, channels)
        self.source_vectors = None if shared == "all" else SymbolEmbedding(source_symbols, channels)
        self.last = nn.Conv1d(channels, target_symbols, 1, bias=False) if shared == "none" else None
        self.timing = TimingSignal(channels, timing)
        self.encoder = nn.ModuleList(module(causal=False) for _ in range(encoder_modules))
        self.mixer_reads = reader() if attention else None
        self.mixer = ConvStep(
            2 * channels if attention else channels,
            channels,
            3,
            separability="sub",
            groups=MIXER_GROUPS,
            causal=True,
            scalar_norm=scalar_norms,
        )
        self.decoder = nn.ModuleList(module(causal=True) for _ in range(decoder_modules))
        self.reads = nn.ModuleList(reader() for _ in range(decoder_modules if attention else 0))
        self.dropout = nn.Dropout(dropout if form == "repository" else 0.0)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        check_symbols(target, "SliceNet", "target")
        memory = self.encode(source)
        return self._decode(shift_right(target), places(target), memory, None)

    def encode(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the decoder reads of the source.

        Shape: (n, l) -> (n, l, depth), and (n, l), true where it is no padding
        """
        check_symbols(source, "SliceNet", "source")
        vectors = self.target_vectors if self.source_vectors is None else self.source_vectors
        # The first place is always read: attention over nothing would have no answer.
        at = places(source)
        present = (source != PADDING) | (at == 0)
        y = vectors(source) + self.timing(at)
        mask = present.unsqueeze(1).to(y.dtype)
        for module in self.encoder:
            y = module(y, mask)
        return self.dropout(y).transpose(1, 2), present

    def start(self, memory: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the state in which nothing is written: the place, and zeros for each filter.

        Shape: (n,), and (n, channels, reach) for each causal filter
        """
        encoded = memory[0]
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
        place, past = state[0], Past(causal_filters(self), state[1:])
        logits = self._decode(symbol.unsqueeze(1), place.unsqueeze(1), memory, past)
        return logits.squeeze(1), (place + 1, *past.state())

    def _decode(
        self, written: Tensor, at: Tensor, memory: Sequence[Tensor], past: Past | None
    ) -> Tensor:
        source, present = memory
        timing = self.timing(at)
        y = self.target_vectors(written)
        if self.mixer_reads is not None:
            y = torch.cat([self.mixer_reads(source, present, y, timing, past), y], dim=1)
        y = self.mixer(y, None, past)
        for place, module in enumerate(self.decoder):
            x, y = y, module(y, None, past)
            if len(self.reads):
                y = y + self.reads[place](source, present, x, timing, past)
        y = self.dropout(y)
        return self.target_vectors.scores(y) if self.last is None else self.last(y).transpose(1, 2)

    def target_length(self, source_length: int) -> int:
        """Return a length that few translations exceed: the network itself has no limit."""
        return 2 * source_length + 10

    def example(self, batch: int = 1, tokens: int = TOKENS) -> tuple[Tensor, Tensor]:
        """Return random sources and targets of one length.

        Args:
            batch: number of pairs.
            tokens: symbols of each.
        """
        source = random_symbols(batch, tokens, self.source_symbols)
        return source, random_symbols(batch, tokens, self.target_symbols)

    @classmethod
    def tiny(cls) -> "tuple[SliceNet, tuple[Tensor, Tensor]]":
        """Build the smallest honest network and a batch of two: for tests and first steps."""
        model = cls(
            source_symbols=11,
            target_symbols=13,
            depth=12,
            kernels=(3, 5, 3),
            separability="super",
            groups=(3, 2),
            encoder_modules=1,
            decoder_modules=1,
            dropout=0.1,
        )
        return model, model.example(batch=2, tokens=7)


def _check_sizes(
    kernels: Sequence[int], dilations: Sequence[int], shared: str, source: int, target: int
) -> None:
    if len(kernels) < MIN_MODULE_STEPS or len(kernels) != len(dilations):
        raise UsageError(
            f"SliceNet: kernels and dilations must be {MIN_MODULE_STEPS} numbers or more each, as "
            f"many of both, got {tuple(kernels)} and {tuple(dilations)}"
        )
    if shared == "all" and source != target:
        raise UsageError(
            f"SliceNet: shared='all' needs one vocabulary, got {source} symbols for the source "
            f"and {target} for the target"
        )


SUPER = {"separability": "super", "groups": (3, 2), "kernels": (3, 7, 15, 31)}
SMALL = {"depth": 240, "encoder_modules": 3, "decoder_modules": 2, "dropout": 0.1}

register("slicenet", SliceNet, "translate")
register("slicenet_super", SliceNet, "translate", depth=3072, **SUPER)
# Small forms, which a CPU can train: windows of the base rows of table 2.
register("slicenet_small", SliceNet, "translate", kernels=(3, 7, 15, 31), **SMALL)
register("slicenet_small_super", SliceNet, "translate", **{**SMALL, **SUPER, "depth": 360})
