"""Conv-TasNet: separate the voices of a mixture by masks on a trained basis.

Windows of two milliseconds are weighted sums of trained signals. A network of dilated convolutions
says for each voice how much of each weight belongs to it; the weighted masks are turned back into
waveforms. With cumulative norms and causal filters it works frame by frame (`streaming.py`).

Source:  Luo, Mesgarani, "Conv-TasNet: Surpassing Ideal Time-Frequency Magnitude Masking for Speech
         Separation", IEEE/ACM TASLP 2019, arXiv:1809.07454, tables I and II.
Claims:  claims/conv_tasnet.toml
Differs: the last window is filled with zeros and the output cut to the length of the input.
"""

from typing import Final

import torch
from torch import Tensor, nn

from convatlas.blocks import check_option, check_waveform
from convatlas.models.registry import register
from convatlas.models.speech.learned_basis import LearnedBasis, masks_of
from convatlas.models.speech.temporal_blocks import NORMS, TemporalNet

MASKS = ("sigmoid", "softmax", "relu")
RATE_HZ = 8000
SECONDS = 4  # of a training example


class ConvTasNet(nn.Module):
    """Separator of the voices of a mixture, at 8 kHz as published.

    Args:
        encoder_filters: signals of the trained basis, N in the paper.
        filter_length: of each in samples, L; an even number.
        bottleneck: channels of the residual path, B.
        hidden: channels inside a block, H.
        skip_channels: of the skip paths, Sc; 0 reads the masks from the residual path, as the
            first version of the paper does.
        kernel: frames that a filter reads, P.
        blocks: in a stack, X; their dilations are 1, 2, 4 and so on.
        repeats: stacks, R.
        speakers: voices that are put out.
        norm: `global` over channels and time (gLN), `cumulative` over what is past (cLN) or
            `batch`.
        causal: no output sees later samples than those of its own windows; needs norms that do
            not look ahead.
        mask: `sigmoid`, `softmax` over the speakers, or `relu`.
        encoder_relu: keep the weights of the basis at 0 and above, as the first version does.
        bias: of the convolutions between encoder and decoder.
        sharing: which blocks have the same weights: `none`, those of one stack (`dilations`), those
            of one dilation (`stacks`), or as in MiTAS (`hybrid`).
        share_norms: where filters are shared, share their norms and activations as well.
        last_residual: keep the last block's residual convolution, which nothing reads; the
            published counts hold it.
        width: multiplies the four channel counts.

    Shape: (n, t) mixtures -> (n, speakers, t) voices; t from `filter_length` samples up.

    Raises:
        UsageError: an option that has no such form, or a causal network with norms that look ahead.
    """

    rate_hz: Final = RATE_HZ

    def __init__(
        self,
        *,
        encoder_filters: int = 512,
        filter_length: int = 16,
        bottleneck: int = 128,
        hidden: int = 512,
        skip_channels: int = 128,
        kernel: int = 3,
        blocks: int = 8,
        repeats: int = 3,
        speakers: int = 2,
        norm: str = "global",
        causal: bool = False,
        mask: str = "sigmoid",
        encoder_relu: bool = False,
        bias: bool = True,
        sharing: str = "none",
        share_norms: bool = True,
        last_residual: bool = True,
        width: float = 1.0,
    ):
        super().__init__()
        check_option("ConvTasNet", "mask", mask, MASKS)
        check_option("ConvTasNet", "norm", norm, ("cumulative", "batch") if causal else NORMS)
        n, b, h = (max(1, round(c * width)) for c in (encoder_filters, bottleneck, hidden))
        skips = skip_channels and max(1, round(skip_channels * width))
        self.speakers, self.mask, self.causal = speakers, mask, causal
        self.basis = LearnedBasis(n, filter_length, relu=encoder_relu)
        self.norm = NORMS[norm](n)
        self.bottleneck = nn.Conv1d(n, b, 1, bias=bias)
        self.blocks = TemporalNet(
            b,
            h,
            skips,
            kernel=kernel,
            blocks=blocks,
            repeats=repeats,
            norm=norm,
            causal=causal,
            bias=bias,
            sharing=sharing,
            share_norms=share_norms,
            last_residual=last_residual,
        )
        # The first version has no activation before the masks.
        self.act = nn.PReLU() if skips else nn.Identity()
        self.masks = nn.Conv1d(skips or b, speakers * n, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        check_waveform(x, "ConvTasNet", min_samples=self.basis.length)
        weights = self.basis.encode(x)
        y = self.blocks(self.bottleneck(self.norm(weights)))
        return self.basis.decode(self.masked(weights, y), x.size(1))

    def masked(self, weights: Tensor, y: Tensor) -> Tensor:
        """Give each voice its part of the mixture's weights.

        Shape: (n, filters, k), (n, skip_channels or bottleneck, k) -> (n, speakers, filters, k)
        """
        return masks_of(self.masks(self.act(y)), self.speakers, self.mask) * weights.unsqueeze(1)

    def example(self, batch: int = 1, samples: int = SECONDS * RATE_HZ) -> tuple[Tensor]:
        """Return random waveforms, by default of four seconds at 8 kHz.

        Args:
            batch: number of mixtures.
            samples: of each.
        """
        return (torch.rand(batch, samples) - 0.5,)

    @classmethod
    def tiny(cls) -> "tuple[ConvTasNet, tuple[Tensor]]":
        """Build the smallest honest network and a batch of two: for tests and first steps."""
        model = cls(width=1 / 16, blocks=2, repeats=1, last_residual=False)
        return model, model.example(batch=2, samples=203)


register("conv_tasnet", ConvTasNet, "separate")
register("conv_tasnet_causal", ConvTasNet, "separate", norm="cumulative", causal=True)
register(
    "conv_tasnet_small",  # the row of table II that costs least
    ConvTasNet,
    "separate",
    encoder_filters=128,
    filter_length=40,
    hidden=256,
    blocks=7,
    repeats=2,
)
