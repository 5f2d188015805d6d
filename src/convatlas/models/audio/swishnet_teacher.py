"""SwishNet's teacher: a MobileNet of a quarter of the width on log-mel spectrograms.

Source:  Hussain, Haque, "SwishNet: A Fast Convolutional Neural Network for Speech, Music and Noise
         Classification and Segmentation", 2018, arXiv:1812.00149, section III; the network of
         Howard et al., arXiv:1704.04861.
Claims:  claims/swishnet.toml
"""

from convatlas.models.classify.mobilenet_v1 import MobileNetV1
from convatlas.models.registry import register

register(
    "mobilenet_v1_audio",
    MobileNetV1,
    "audio",
    width=0.25,
    num_classes=3,
    image_size=(64, 98),  # mel bands, frames of one second; the bands are copied to three channels
    relu6=True,
    hidden=16,
)
