"""A sparse matrix along the last axis: what a graph of thousands of vertices needs.

The matrix is its entries, sorted or not. Torch has such products, but neither on shapes alone
(which counting needs) nor for export; this operator has both, and its backward pass is itself.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor


class SparseMatrix(NamedTuple):
    """The entries of a square matrix; those of one place are summed.

    Args:
        rows: int64 (entries,)
        columns: int64 (entries,)
        values: float (entries,)
        size: rows and columns of the matrix.
    """

    rows: Tensor
    columns: Tensor
    values: Tensor
    size: int

    @property
    def shape(self) -> tuple[int, int]:
        """As a dense matrix has it."""
        return self.size, self.size


def sparse_product(matrix: SparseMatrix, x: Tensor) -> Tensor:
    """Multiply the matrix with the vectors along the last axis of x.

    Memory holds the entries and the result: no matrix is made, nor a value for each entry and
    vector. Only an exported program gathers values for each entry, for ONNX has no sparse product.

    Shape: (v, v), (…, v) -> (…, v)

    Cost: one multiply-add for each entry and each vector.
    """
    rows, columns, values, _ = matrix
    if torch.compiler.is_exporting():
        values = values.to(x.dtype)
        picked = x.index_select(-1, columns) * values
        return torch.zeros_like(x).scatter_add(-1, rows.expand(picked.shape), picked)
    return torch.ops.convatlas.sparse_product(rows, columns, values, x)


@torch.library.custom_op("convatlas::sparse_product", mutates_args=())
def _sparse_product(rows: Tensor, columns: Tensor, values: Tensor, x: Tensor) -> Tensor:
    size = x.shape[-1]
    matrix = torch.sparse_coo_tensor(
        torch.stack([rows, columns]), values.float(), (size, size), check_invariants=False
    )
    flat = x.reshape(-1, size).float()
    return (matrix @ flat.T).T.reshape(x.shape).to(x.dtype).contiguous()


@_sparse_product.register_fake
def _shape(rows: Tensor, columns: Tensor, values: Tensor, x: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:3])


def _backward(ctx: Any, grad: Tensor) -> tuple[None, None, None, Tensor]:
    rows, columns, values = ctx.saved_tensors
    return None, None, None, torch.ops.convatlas.sparse_product(columns, rows, values, grad)


_sparse_product.register_autograd(_backward, setup_context=_keep)
