"""MiTAS: Conv-TasNet whose blocks share their weights, to store a quarter of them.

Filters along time are shared by the blocks of one stack, whatever their dilation; convolutions
over all channels by the blocks of one dilation, whatever their stack. What is computed costs as
much as before.

Source:  Tuan, Wu, Lee, Tsao, "MITAS: A Compressed Time-Domain Audio Separation Network with
         Parameter Sharing", 2019, arXiv:1912.03884.
Claims:  claims/mitas.toml
Differs: which blocks share norms and activations is not said; here they go with the filters
         (`share_norms=False` gives each block its own).
"""

from convatlas.models.registry import register
from convatlas.models.speech.conv_tasnet import ConvTasNet

# Conv-TasNet of the first arXiv version: 98 % of its parameters lie in the blocks, as MiTAS says.
for _name, _sharing in {
    "mitas": "hybrid",
    "mitas_across_dilations": "dilations",
    "mitas_across_stacks": "stacks",
}.items():
    register(
        _name,
        ConvTasNet,
        "separate",
        encoder_filters=256,
        filter_length=20,
        bottleneck=256,
        skip_channels=0,
        repeats=4,
        encoder_relu=True,
        bias=False,
        sharing=_sharing,
    )
