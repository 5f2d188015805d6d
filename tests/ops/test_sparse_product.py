import pytest
import torch

from convatlas import cost
from convatlas.ops.chebyshev import chebyshev_conv
from convatlas.ops.sparse_product import SparseMatrix, sparse_product

ENTRIES = [(0, 1, 2.0), (2, 0, -1.0), (2, 0, 0.5), (3, 3, 4.0), (1, 2, 3.0)]  # one place twice


@pytest.fixture
def matrix():
    rows, columns, values = zip(*ENTRIES, strict=True)
    return SparseMatrix(torch.tensor(rows), torch.tensor(columns), torch.tensor(values), 4)


@pytest.fixture
def dense():
    full = torch.zeros(4, 4)
    for row, column, value in ENTRIES:
        full[row, column] += value
    return full


def test_equals_the_dense_product_forwards_and_backwards(matrix, dense):
    x = torch.randn(2, 3, 4, requires_grad=True)
    other = x.detach().clone().requires_grad_()
    got, expected = sparse_product(matrix, x), other @ dense.T
    torch.testing.assert_close(got, expected)
    weights = torch.randn_like(got)
    (got * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(x.grad, other.grad)


def test_cost_is_one_multiply_add_for_each_entry_and_vector(matrix):
    assert cost.macs(lambda x: sparse_product(matrix, x), torch.rand(2, 3, 4)) == 2 * 3 * 5


def test_an_exported_program_holds_plain_operators_and_agrees(matrix, dense):
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rows, self.columns = (torch.nn.Buffer(x) for x in matrix[:2])
            self.values = torch.nn.Buffer(matrix.values)

        def forward(self, x):
            return sparse_product(SparseMatrix(self.rows, self.columns, self.values, 4), x)

    x = torch.randn(2, 3, 4)
    dims = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(Net(), (x,), dynamic_shapes=dims)
    assert "convatlas" not in str(program.graph)
    more = torch.randn(5, 3, 4)
    torch.testing.assert_close(program.module()(more), more @ dense.T)


def test_chebyshev_convolution_takes_it(matrix, dense):
    x, weight = torch.randn(2, 3, 4), torch.randn(3, 5, 3)
    expected = chebyshev_conv(x, weight, dense)
    torch.testing.assert_close(chebyshev_conv(x, weight, matrix), expected, rtol=1e-4, atol=1e-4)
