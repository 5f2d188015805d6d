"""From an image as any library gives it to probabilities: what is evaluated, used and exported."""

from collections import defaultdict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from convatlas.data.preprocess import Preprocess

BATCH = 64
BATCH_PIXELS = 1 << 24  # photographs are large: their batches are kept below this many pixels


class ImageClassifier(nn.Module):
    """Pre-processing, network and softmax as one module.

    Evaluation, prediction and export all use this one, so none can prepare images otherwise.

    Args:
        preprocess: uint8 images to the network's input.
        network: its logits become the probabilities.

    Shape: uint8 (n, h, w, channels) -> float32 (n, classes), each row sums to 1
    """

    def __init__(self, preprocess: Preprocess, network: nn.Module):
        super().__init__()
        self.preprocess = preprocess
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return torch.softmax(self.network(self.preprocess(image)).float(), dim=1)

    @torch.no_grad()
    def predict(self, images: Sequence[Tensor]) -> Tensor:
        """Probabilities of images of any sizes, in evaluation mode, in their order.

        Shape: each uint8 (h, w, channels) -> (n, classes)
        """
        training, device = self.training, self.preprocess.mean.device
        self.eval()
        try:
            return answer_by_size(images, lambda batch: self(batch.to(device)).cpu())
        finally:
            self.train(training)


def answer_by_size(images: Sequence[Tensor], answer: Callable[[Tensor], Tensor]) -> Tensor:
    """Batch images of equal size, answer each batch, put the answers into the images' order.

    Args:
        images: uint8 (h, w, channels) each, at least one.
        answer: (n, h, w, channels) -> (n, classes).

    Raises:
        ValueError: there are no images.
    """
    if not images:
        raise ValueError("answer_by_size: must be given images, got none")
    places = defaultdict(list)
    for place, image in enumerate(images):
        places[image.shape].append(place)
    answers: dict[int, Tensor] = {}
    for (height, width, _), same in places.items():
        step = max(1, min(BATCH, BATCH_PIXELS // (height * width)))
        for start in range(0, len(same), step):
            chunk = same[start : start + step]
            rows = answer(torch.stack([images[place] for place in chunk]))
            answers.update(zip(chunk, rows, strict=True))
    return torch.stack([answers[place] for place in range(len(images))])
