import pytest
import torch

from convatlas.errors import UsageError
from convatlas.ops.fourier import RealDFT, real_dft


@pytest.mark.parametrize("length", [2, 7, 12, 400, 512, 1023])  # prime, odd, oblong, square
def test_two_steps_equal_the_definition_and_the_fast_transform(length):
    x = torch.randn(3, 2, length, generator=torch.Generator().manual_seed(0))
    real, imaginary = RealDFT(length)(x)
    expected = torch.fft.rfft(x.double())
    slow = real_dft(x.double())
    torch.testing.assert_close(torch.complex(*slow), expected, atol=1e-9, rtol=0)
    torch.testing.assert_close(real, expected.real.float(), atol=2e-4, rtol=1e-4)
    torch.testing.assert_close(imaginary, expected.imag.float(), atol=2e-4, rtol=1e-4)


def test_its_matrices_are_far_smaller_than_the_definition_s():
    numbers = sum(buffer.numel() for buffer in RealDFT(1024).buffers())
    assert numbers < 6000
    assert RealDFT(1024).state_dict() == {}  # they follow from the length


def test_a_length_without_frequencies_is_refused():
    with pytest.raises(UsageError, match="length must be 2 or more, got 1"):
        RealDFT(1)
