"""DCNN: classify a sentence by wide convolutions and the k largest values of each, in their order.

A filter sees one row of the sentence's matrix, that is one dimension of the symbols' vectors. Rows
meet two and two by folding, which adds them. Dynamic k-max pooling keeps more values of a longer
sentence and always four in the end, so that sentences of any length end as vectors of one length.

Source:  Kalchbrenner, Grefenstette, Blunsom, "A Convolutional Neural Network for Modelling
         Sentences", ACL 2014, arXiv:1404.2188, section 3.
Claims:  claims/dcnn_sentence.toml
Differs: sizes are those of the fact sheet, known from the paper and not re-read; vectors begin at
         random. A text ends with the symbol that ends it, as in every network here.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from convatlas.errors import UsageError
from convatlas.models.registry import register
from convatlas.models.symbol_input import check_symbols, check_vocabulary, random_symbols
from convatlas.models.text.wide_conv import WideConv, lengths_of, present_steps
from convatlas.ops.k_max_pooling import k_max_pool_each

TOKENS = 20  # of the example: about as many words as a sentence of SST has


class SentenceLayer(nn.Module):
    """Wide convolution of each row, folding, k-max pooling, bias and tanh.

    Args:
        rows: of the sentence's matrix, an even number; half of them are left.
        in_maps: matrices that come in, and `out_maps` that go out.

    Shape: (n, rows * in_maps, t), k (n,) -> (n, rows / 2 * out_maps, longest), zeros behind the k
        steps of a sentence
    """

    def __init__(self, rows: int, in_maps: int, out_maps: int, kernel: int):
        super().__init__()
        self.rows, self.maps, self.kernel = rows, out_maps, kernel
        self.conv = WideConv(rows * in_maps, rows * out_maps, kernel, groups=rows)
        self.bias = nn.Parameter(torch.zeros(rows // 2 * out_maps, 1))

    def forward(self, x: Tensor, lengths: Tensor, k: Tensor, longest: int) -> Tensor:
        y = self.conv(x)
        folded = y.unflatten(1, (self.rows // 2, 2, self.maps)).sum(2).flatten(1, 2)
        present = present_steps(folded, lengths + self.kernel - 1)
        pooled = k_max_pool_each(folded, present, k, longest)
        kept = present_steps(pooled, k).unsqueeze(1)
        return (pooled + self.bias).tanh() * kept.to(pooled.dtype)


class DCNNSentence(nn.Module):
    """Classifier of sentences, given as symbols: words, characters or what the vocabulary has.

    Args:
        symbols: size of the vocabulary, padding, end and unknown included.
        num_classes: length of the output.
        depth: length of a symbol's vector, the rows of the sentence's matrix.
        kernels: symbols that the filters of each layer see.
        maps: matrices of each layer.
        top: values of each row that the last layer keeps, whatever the sentence's length.
        dropout: fraction of the last layer's values set to zero, in training.
        width: multiplies `depth` and `maps`.

    Shape: (n, l) int64 -> (n, num_classes) logits. Padding has no influence.

    Raises:
        UsageError: kernels and maps that differ in number, or a size below 1.
    """

    def __init__(
        self,
        *,
        symbols: int = 16_000,
        num_classes: int = 2,
        depth: int = 48,
        kernels: Sequence[int] = (7, 5),
        maps: Sequence[int] = (6, 14),
        top: int = 4,
        dropout: float = 0.5,
        width: float = 1.0,
    ):
        super().__init__()
        check_vocabulary("DCNNSentence", symbols=symbols)
        if not kernels or len(kernels) != len(maps) or min(*kernels, *maps, top) < 1:
            raise UsageError(
                f"DCNNSentence: kernels and maps must be as many, and they and top 1 or more, got "
                f"{tuple(kernels)}, {tuple(maps)} and {top}"
            )
        self.symbols, self.top, self.kernels = symbols, top, tuple(kernels)
        unit = 2 ** len(kernels)  # each layer folds the rows into half
        rows, made = unit * max(1, round(depth * width / unit)), 1
        self.vectors = nn.Embedding(symbols, rows)
        self.layers = nn.ModuleList()
        for kernel, count in zip(kernels, maps, strict=True):
            wide = max(1, round(count * width))
            self.layers.append(SentenceLayer(rows, made, wide, kernel))
            rows, made = rows // 2, wide
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(rows * made * top, num_classes)

    def forward(self, text: Tensor) -> Tensor:
        check_symbols(text, "DCNNSentence", "text")
        symbols = lengths_of(text)
        y = self.vectors(text).transpose(1, 2)
        y = y * present_steps(y, symbols).unsqueeze(1).to(y.dtype)
        lengths, longest, depth = symbols, text.size(1), len(self.layers)
        pairs = zip(self.layers, self.kernels, strict=True)
        for place, (layer, kernel) in enumerate(pairs, start=1):
            # max(top, ceil((L - l) / L * s)) of each sentence, and no less for the longest one
            share = depth - place
            k = torch.div(share * symbols + depth - 1, depth, rounding_mode="floor")
            k = k.clamp(min=self.top)
            bound = (share * longest + depth - 1) // depth + self.top if share else self.top
            k = torch.minimum(k, lengths + kernel - 1)
            y = layer(y, lengths, k, bound)
            lengths = k
        return self.classifier(self.dropout(y.flatten(1)))

    def example(self, batch: int = 1, tokens: int = TOKENS) -> tuple[Tensor]:
        """Return random texts.

        Args:
            batch: number of texts.
            tokens: symbols of each.
        """
        return (random_symbols(batch, tokens, self.symbols),)

    @classmethod
    def tiny(cls) -> "tuple[DCNNSentence, tuple[Tensor]]":
        """Build the smallest honest network and a batch of two: for tests and first steps."""
        model = cls(symbols=11, num_classes=5, depth=8, maps=(2, 3), kernels=(3, 2), top=2)
        return model, model.example(batch=2, tokens=7)


register("dcnn_sentence", DCNNSentence, "text")
register("dcnn_sentence_trec", DCNNSentence, "text", num_classes=6, depth=60, top=5)
