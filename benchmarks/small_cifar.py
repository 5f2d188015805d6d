"""A part of CIFAR-10 for comparisons: the same images, changed alike, for each network."""

from convatlas.data import CachedImages, Preprocess, augment, augmentation, open_images
from convatlas.train.tasks.classify import Classify
from small_sets import prepare

SIDE = 32


class SmallCifar:
    """Images to learn from, evenly out of 10,000, and 2,000 to judge by.

    Args:
        scratch: folder for the images.
        count: of those to learn from.
    """

    def __init__(self, scratch, count):
        data = open_images(prepare("cifar10", scratch))
        whole = data.splits["train"]
        step = len(whole) // count
        learn = whole.subset(range(0, step * count, step))
        self._normalise = Preprocess.fit(learn, 3, SIDE).normalise
        self._learn, self._judge = (
            CachedImages(each, SIDE) for each in (learn, data.splits["test"])
        )
        self._change = augmentation("tiny", 3, SIDE)

    def task(self):
        """What one network is trained on, and judged by."""
        return Classify(
            self._learn,
            self._judge,
            num_classes=10,
            augment=lambda batch: augment(batch, self._change),
            normalise=self._normalise,
            label_smoothing=0.1,
        )
