"""DenseNet on sounds: an image network, unchanged, on three log-mel spectrograms.

Windows of 25, 50 and 100 ms give three spectrograms of the same sound, which are the three
channels of a picture. Only the last layer is new, so that weights of images are a start; several
runs of that start differ enough for the mean of their probabilities (`models/ensemble.py`) to be
better on two of the paper's three sets.

Source:  Palanisamy, Singhania, Yao, "Rethinking CNN Models for Audio Classification", 2020,
         arXiv:2007.11154, section 3; sizes from the authors' code.
Claims:  claims/densenet_audio.toml
"""

from convatlas.models.classify.densenet import DenseNet
from convatlas.models.registry import register

SIZE = (128, 250)  # mel bands, frames of ESC-50 and UrbanSound8K; GTZAN has 1500

register("densenet201_audio", DenseNet, "audio", depth=201, num_classes=50, image_size=SIZE)
