"""Operators that the counting rule leaves out on purpose.

Element-wise operators, views and reductions carry tags in torch; the rest is named here. What
is neither counted nor free is reported as uncounted, never passed over in silence.
"""

import torch

_ZERO_COST_TAGS = {torch.Tag.pointwise}
if hasattr(torch.Tag, "reduction"):  # newer than the oldest torch we support
    _ZERO_COST_TAGS.add(torch.Tag.reduction)

_GROUPS = {
    "normalisation": """
        native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training
        _batch_norm_no_update _batch_norm_with_update cudnn_batch_norm native_layer_norm
        native_group_norm _fused_rms_norm linalg_vector_norm norm renorm var_mean std_mean var std
        _weight_norm_interface convatlas::batch_norm_act""",
    "activation without the tag": """
        _softmax _safe_softmax _log_softmax log_sigmoid_forward prelu _prelu_kernel glu
        rrelu_with_noise leaky_relu hardswish mish threshold native_dropout""",
    "chance": "bernoulli exponential cauchy geometric log_normal normal random uniform multinomial",
    "loss": """
        mse_loss smooth_l1_loss huber_loss soft_margin_loss binary_cross_entropy
        nll_loss_forward nll_loss2d_forward multi_margin_loss multilabel_margin_loss_forward
        _ctc_loss""",
    "pooling and resizing": """
        max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices max_pool2d
        avg_pool1d avg_pool2d avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d
        adaptive_max_pool2d adaptive_max_pool3d fractional_max_pool2d fractional_max_pool3d
        max_unpool2d max_unpool3d affine_grid_generator
        upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d
        _upsample_nearest_exact2d upsample_linear1d upsample_bilinear2d upsample_bicubic2d
        upsample_trilinear3d _upsample_bilinear2d_aa _upsample_bicubic2d_aa grid_sampler_2d
        grid_sampler_3d pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle
        im2col col2im torchvision::roi_align torchvision::roi_pool torchvision::ps_roi_align
        torchvision::ps_roi_pool""",
    "reduction, for a torch without the tag": """
        sum mean amax amin max min argmax argmin prod all any median mode logsumexp _logcumsumexp
        cumsum cumprod cummax cummin count_nonzero nansum aminmax topk sort kthvalue argsort
        unique _unique2 unique_dim unique_consecutive torchvision::nms
        convatlas::kept_boxes""",
    "moving, picking and making tensors": """
        cat stack copy clone _to_copy contiguous constant_pad_nd reflection_pad1d
        reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d replication_pad3d
        roll flip rot90 repeat index index_select index_put _unsafe_index gather
        scatter scatter_add scatter_reduce masked_fill masked_select masked_scatter take
        embedding embedding_renorm _embedding_bag _embedding_bag_forward_only index_fill index_add
        index_copy one_hot nonzero tril triu unfold_copy view_copy slice_scatter
        select_scatter diagonal_scatter split_with_sizes_copy unsafe_split
        unsafe_split_with_sizes lift_fresh lift_fresh_copy set resize _unsafe_view
        _reshape_alias _reshape_copy diag_embed bucketize searchsorted meshgrid
        block_diag tensor_split empty empty_like empty_strided empty_permuted new_empty
        new_empty_strided new_zeros new_ones new_full zeros zeros_like ones ones_like full
        full_like arange linspace eye scalar_tensor rand rand_like randn randn_like randint
        randint_like randperm fill zero complex view_as_complex
        view_as_real""",
    "asking, not computing": """
        device _local_scalar_dense item equal is_same_size sym_size sym_stride sym_numel
        _assert_async _assert_scalar _assert_tensor_metadata _efficientzerotensor
        _has_same_storage_numel _pack_padded_sequence
        profiler::_record_function_enter_new
        profiler::_record_function_exit torchvision::_cuda_version""",
}

_ZERO_COST_NAMES = frozenset(name for group in _GROUPS.values() for name in group.split())


def is_zero_cost(op: torch._ops.OpOverload) -> bool:
    """Return whether the rule counts nothing for this operator, in place or not."""
    name = bare_name(op)
    plain = name.removesuffix("_")
    return (
        name in _ZERO_COST_NAMES
        or plain in _ZERO_COST_NAMES
        or _is_tagged(op)
        or _is_tagged_out_of_place(plain)
    )


def _is_tagged(op: torch._ops.OpOverload) -> bool:
    return op.is_view or not _ZERO_COST_TAGS.isdisjoint(op.tags)


def _is_tagged_out_of_place(plain: str) -> bool:
    """Look up the tags of the ordinary form, which one that works in place may lack."""
    packet = getattr(torch.ops.aten, plain, None) if "::" not in plain else None
    return packet is not None and any(
        _is_tagged(getattr(packet, overload)) for overload in packet.overloads()
    )


def bare_name(op: torch._ops.OpOverload) -> str:
    """Shorten `aten::add.Tensor` to `add`; operators of other libraries keep their library."""
    library, _, name = op._schema.name.partition("::")
    return name if library in ("aten", "prim", "prims") else f"{library}::{name}"
