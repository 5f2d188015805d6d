"""TextCNN: classify a sentence by the strongest answer of each filter, wherever it stands.

Filters of three, four and five symbols stand side by side, each keeps its largest value, and what
they have found is classified at once. There is no order left, and little to compute.

Source:  Kim, "Convolutional Neural Networks for Sentence Classification", EMNLP 2014,
         arXiv:1408.5882, section 2.
Claims:  claims/text_cnn.toml
Differs: vectors begin at random (its variant CNN-rand); filters reach over both ends of a sentence,
         so that one shorter than a filter has an answer; no bound on the weights' norm.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from convatlas.errors import UsageError
from convatlas.models.registry import register
from convatlas.models.symbol_input import check_symbols, check_vocabulary, random_symbols
from convatlas.models.text.wide_conv import WideConv, lengths_of, present_steps

TOKENS = 20  # of the example, as of the other networks for sentences


class LargestAnswer(nn.Module):
    """Wide convolution, the largest value of each filter over a sentence, bias and ReLU.

    Shape: (n, in_channels, l), lengths (n,) -> (n, out_channels)
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int):
        super().__init__()
        self.kernel = kernel
        self.conv = WideConv(in_channels, out_channels, kernel)
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        y = self.conv(x)
        outside = ~present_steps(y, lengths + self.kernel - 1).unsqueeze(1)
        return (y.masked_fill(outside, float("-inf")).amax(2) + self.bias).relu()


class TextCNN(nn.Module):
    """Classifier of sentences, given as symbols: words, characters or what the vocabulary has.

    Args:
        symbols: size of the vocabulary, padding, end and unknown included.
        num_classes: length of the output.
        depth: length of a symbol's vector.
        kernels: symbols that the filters of each kind see.
        channels: filters of each kind.
        dropout: fraction of what the filters found set to zero, in training.
        width: multiplies `depth` and `channels`.

    Shape: (n, l) int64 -> (n, num_classes) logits. Padding has no influence.

    Raises:
        UsageError: a size below 1.
    """

    def __init__(
        self,
        *,
        symbols: int = 18_765,
        num_classes: int = 2,
        depth: int = 300,
        kernels: Sequence[int] = (3, 4, 5),
        channels: int = 100,
        dropout: float = 0.5,
        width: float = 1.0,
    ):
        super().__init__()
        check_vocabulary("TextCNN", symbols=symbols)
        if not kernels or min(*kernels, depth, channels) < 1:
            raise UsageError(
                f"TextCNN: kernels, depth and channels must be 1 or more, got {tuple(kernels)}, "
                f"{depth} and {channels}"
            )
        self.symbols = symbols
        vectors, wide = max(1, round(depth * width)), max(1, round(channels * width))
        self.vectors = nn.Embedding(symbols, vectors)
        self.filters = nn.ModuleList(LargestAnswer(vectors, wide, kernel) for kernel in kernels)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(len(kernels) * wide, num_classes)

    def forward(self, text: Tensor) -> Tensor:
        check_symbols(text, "TextCNN", "text")
        lengths = lengths_of(text)
        y = self.vectors(text).transpose(1, 2)
        y = y * present_steps(y, lengths).unsqueeze(1).to(y.dtype)
        found = torch.cat([each(y, lengths) for each in self.filters], dim=1)
        return self.classifier(self.dropout(found))

    def example(self, batch: int = 1, tokens: int = TOKENS) -> tuple[Tensor]:
        """Return random texts.

        Args:
            batch: number of texts.
            tokens: symbols of each.
        """
        return (random_symbols(batch, tokens, self.symbols),)

    @classmethod
    def tiny(cls) -> "tuple[TextCNN, tuple[Tensor]]":
        """Build the smallest honest network and a batch of two: for tests and first steps."""
        model = cls(symbols=11, num_classes=5, depth=8, channels=6)
        return model, model.example(batch=2, tokens=7)


register("text_cnn", TextCNN, "text")
register("text_cnn_small", TextCNN, "text", depth=64, channels=64)
