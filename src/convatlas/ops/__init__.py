"""Convolution operators, one a file, as plain functions on tensors.

Here: what a paper writes as one formula, with a thin module only where there are weights.
Not here: parts built of several layers; those two models share go to `blocks`.
"""

from importlib import import_module
from typing import Any

# Each name is imported when first used: sizes and costs alone need no torch.
_NAMES = {
    "attention": "attend",
    "causal": "CausalConv causal_conv",
    "chebyshev": "ChebyshevConv chebyshev_conv",
    "convolution": "Conv conv flip",
    "depthwise": "DepthwiseConv depthwise_conv",
    "drop_path": "draw_column global_drop_path join_mean linear_survival local_drop_path",
    "dynamic_pooling": "dynamic_pool global_pool pyramid_pool",
    "first_order": "FirstOrderConv first_order_conv",
    "fourier": "RealDFT real_dft",
    "framing": "blackman_harris cut_frames hamming hann",
    "gated": "GatedConv gated_conv glu gtu",
    "generated_kernel": "basic_kernels tile_counts tile_kernels",
    "grouped": "grouped_conv",
    "k_max_pooling": "dynamic_k k_max_pool k_max_pool_each",
    "laplacian": "eigenbasis first_order_graph normalised_laplacian scaled_laplacian",
    "layer_norms": """ChannelLayerNorm CumulativeLayerNorm GlobalLayerNorm channel_layer_norm
        cumulative_layer_norm global_layer_norm""",
    "loudness": "equalise_loudness remove_silence",
    "masked": "MaskedConv masked_conv reading_order_mask",
    "matrix": "conv_by_matrix conv_by_patches convolution_matrix patches",
    "mel": "MelSpectrogram hz_to_mel mel_filters mel_to_hz",
    "mfcc": "MFCC cosine_basis decibels swishnet_mfcc",
    "padding": "pad",
    "pointwise": "pointwise_conv",
    "pooling": "average_pool l2_pool max_pool",
    "pyramid": "Pyramid PyramidConv pyramid_conv pyramid_filter",
    "response_norm": "local_response_norm",
    "separable": "SeparableConv separable_conv",
    "shuffle": "ShuffledGroupConv shuffle_channels shuffled_group_conv",
    "space_to_depth": "downsample upsample",
    "spatially_separable": """SpatiallySeparableConv TwoStepConv spatially_separable_conv
        split_rank_one two_step_conv""",
    "spectrogram": "Spectrogram",
    "spectrogram_bands": "ThreeBands ThreeWindows",
    "spectral": "SpectralConv spectral_conv",
    "squeeze_excitation": "SqueezeExcite squeeze_excite",
    "stochastic_pooling": "stochastic_pool",
    "sub_separable": "SubSeparableConv sub_separable_conv",
    "super_separable": "SuperSeparableConv super_separable_conv",
    "transposed": "TransposedConv transposed_conv zero_inserted_conv",
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'convatlas.ops' has no attribute '{name}'")
    return getattr(import_module(f"convatlas.ops.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
