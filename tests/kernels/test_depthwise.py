"""A depthwise convolution beside torch's in float64.

Each filter and each width of strips is compiled by itself, for seconds. So maps are mostly 7, 14,
21 ... columns wide, which seven-column strips cover best, unless a test needs another width.
"""

import ctypes
import mmap
import sys
import threading

import pytest
import torch
import torch.nn.functional as F

from convatlas.kernels import depthwise_conv1d, depthwise_conv2d, enabled
from convatlas.kernels.layout import tile_sizes
from convatlas.kernels.runtime import hardware

FORMATS = {"rows": torch.channels_last, "planes": torch.contiguous_format}


def inputs(shape, kernel, layout="rows", dtype=torch.float32):
    x = torch.randn(shape).to(dtype).to(memory_format=FORMATS[layout])
    weight = torch.randn(shape[1], 1, *kernel).to(dtype)
    return x.requires_grad_(), weight.requires_grad_()


def is_ours(y):
    return "depthwise" in y.grad_fn.name().lower()


def reference(x, weight, dy, **sizes):
    """The same in float64 by torch."""
    x64 = x.detach().double().requires_grad_()
    w64 = weight.detach().double().requires_grad_()
    y = F.conv2d(x64, w64, groups=x.shape[1], **sizes)
    y.backward(dy.double())
    return y, x64.grad, w64.grad


def check(x, weight, error, within=1e-5, **sizes):
    y = depthwise_conv2d(x, weight, **sizes)
    assert is_ours(y)
    dy = torch.randn_like(y)
    y.backward(dy)
    found = (y, x.grad, weight.grad)
    for ours, theirs in zip(found, reference(x, weight, dy, **sizes), strict=True):
        assert ours.dtype == x.dtype
        assert error(ours, theirs) < within


SIDES = (1, 2, 3, 4, 5, 7, 9)
STRIDES = (1, 2, 3)
# Over rows each is compiled by itself: held and other weights, taps of which some reach no output,
# odd and even, every kind of weight tile, and sides and strides that have no strips. Sides of three
# and five follow below, at every width.
ROWS = [(1, 2), (2, 1), (3, 3), (7, 1), (7, 2), (9, 1)]
PLANES = [(kernel, stride) for kernel in SIDES for stride in STRIDES]


@pytest.mark.parametrize(
    ("layout", "kernel", "stride"),
    [("rows", *sizes) for sizes in ROWS] + [("planes", *sizes) for sizes in PLANES],
)
def test_equals_torch_in_float64_for_every_kernel_and_stride(
    layout, kernel, stride, relative_error
):
    x, weight = inputs((2, 32, 13, 18), (kernel, kernel), layout)
    check(x, weight, relative_error, stride=stride, padding=kernel // 2)


@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize(
    ("shape", "kernel", "sizes"),
    [
        ((1, 24, 9, 70), (3, 5), {"padding": (1, 2)}),
        ((1, 3, 17, 11), (5, 3), {"stride": (2, 1), "padding": (4, 0)}),
        ((2, 40, 12, 75), (3, 3), {"dilation": (2, 5), "padding": (2, 5)}),
        ((1, 48, 30, 30), (3, 3), {"dilation": 2, "stride": 2, "padding": 1}),
        ((1, 48, 30, 30), (3, 3), {"dilation": 4, "stride": 2, "padding": 3}),
        ((1, 17, 2, 2), (5, 5), {"padding": 2}),  # the map is smaller than the kernel
        ((1, 16, 1, 1), (3, 3), {"padding": 1}),
        ((3, 100, 5, 5), (3, 3), {"padding": 3}),  # outputs that see padding only
        ((1, 64, 6, 1), (3, 1), {}),
        ((5, 1, 20, 20), (3, 3), {"padding": 1}),
    ],
)
def test_equals_torch_in_float64_for_odd_shapes(layout, shape, kernel, sizes, relative_error):
    x, weight = inputs(shape, kernel, layout)
    check(x, weight, relative_error, **sizes)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
@pytest.mark.parametrize("padding", [0, 1, 2, 4])
def test_rows_of_every_width_are_the_same_however_their_tiles_meet_the_padding(
    kernel, stride, padding, relative_error, strips_for
):
    with strips_for(WIDTHS=(7,)):  # four and five columns where weights leave no room for seven
        for width in range(max(1, kernel - 2 * padding), 32):
            x, weight = inputs((1, 16, 6, width), (kernel, kernel))
            check(x, weight, relative_error, stride=stride, padding=padding)


def test_strips_of_several_widths_make_up_one_gradient(relative_error):
    x, weight = inputs((1, 32, 9, 17), (5, 5))  # nine even columns, eight odd ones
    check(x, weight, relative_error, stride=2, padding=2)


def test_narrow_strips_for_few_registers_give_the_same(relative_error, strips_for):
    with strips_for(vector_registers=lambda: 8):
        x, weight = inputs((2, 32, 11, 15), (5, 5))
        check(x, weight, relative_error, stride=2, padding=2)


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (2, 1), (3, 1), (3, 2), (5, 1), (7, 2)])
@pytest.mark.parametrize("registers", [8, 32])
def test_the_sums_of_a_strip_fit_the_registers(kernel, stride, registers, monkeypatch):
    monkeypatch.setattr(tile_sizes, "vector_registers", lambda: registers)
    for width in (1, 5, 7, 10, 14, 20, 28, 112):
        columns = tile_sizes.strip_columns(kernel, stride, kernel, stride, width)
        assert columns >= tile_sizes.MIN_COLUMNS
        assert columns * -(-kernel // stride) < registers or columns == tile_sizes.MIN_COLUMNS


def test_no_column_is_computed_twice_where_a_strip_divides_the_map():
    if hardware.vector_registers() < 32:
        pytest.skip("wider strips need more registers")
    found = {width: tile_sizes.strip_columns(3, 1, 3, 1, width) for width in (7, 14, 10, 28, 5)}
    assert found == {7: 7, 14: 7, 10: 5, 28: 4, 5: 5}


def test_sizes_may_be_lists():
    x, weight = inputs((1, 16, 6, 6), (3, 3))
    y = depthwise_conv2d(x, weight, stride=[2, 1], padding=[1, 0], dilation=[1, 2])
    expected = F.conv2d(x, weight, None, [2, 1], [1, 0], [1, 2], 16)
    torch.testing.assert_close(y, expected)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="protects a page as Linux does")
def test_nothing_beyond_a_view_is_read():
    """Stride two reads ahead: the last rows of a view that ends at the end of a page."""
    page = mmap.PAGESIZE
    memory = mmap.mmap(-1, 5 * page)
    ctypes.CDLL(None).mprotect(
        ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(memory)) + 4 * page), page, 0
    )
    whole = torch.frombuffer(memory, dtype=torch.float32, count=4 * page // 4).normal_()
    x = whole.view(1, 8, 16, 32)[:, 1:, 1:, 16:].permute(0, 3, 1, 2)  # the upper channels
    weight = torch.randn(16, 1, 3, 3)
    y = depthwise_conv2d(x, weight, stride=2, padding=1)
    torch.testing.assert_close(y, F.conv2d(x, weight, None, 2, 1, 1, 16))


def test_large_results_that_go_around_the_caches_are_the_same(relative_error):
    x, weight = inputs((2, 96, 112, 91), (3, 3))
    check(x, weight, relative_error, padding=1)


@pytest.mark.parametrize("layout", FORMATS)
def test_bfloat16_is_rounded_once(layout, relative_error):
    x, weight = inputs((2, 40, 14, 33), (3, 3), layout, torch.bfloat16)
    check(x, weight, relative_error, within=2**-8, padding=1)


@pytest.mark.parametrize("layout", FORMATS)
def test_nan_and_infinity_reach_what_sees_them_and_nothing_else(layout):
    x, weight = inputs((1, 24, 8, 10), (3, 3), layout, torch.bfloat16)
    with torch.no_grad():
        x[0, 3, 4, 4] = float("nan")
        x[0, 5, 4, 4] = float("inf")
    y = depthwise_conv2d(x, weight, padding=1)
    assert y[0, 3].isnan().sum() == 9
    assert (~y[0, 5].isfinite()).sum() == 9
    assert (~y.isfinite()).sum() == 18


@pytest.mark.parametrize("dilation", [1, 2, 16, 128])
@pytest.mark.parametrize("transposed", [False, True])
def test_sequences_equal_torch(dilation, transposed, relative_error):
    x = torch.randn(2, 300, 24).transpose(1, 2) if transposed else torch.randn(2, 24, 300)
    x, weight = x.requires_grad_(), torch.randn(24, 1, 3, requires_grad=True)
    y = depthwise_conv1d(x, weight, dilation=dilation, padding=dilation)
    dy = torch.randn_like(y)
    found = y, *torch.autograd.grad(y, (x, weight), dy)
    x64, w64 = (t.detach().double().requires_grad_() for t in (x, weight))
    expected = F.conv1d(x64, w64, dilation=dilation, padding=dilation, groups=24)
    expected = expected, *torch.autograd.grad(expected, (x64, w64), dy.double())
    assert all(relative_error(a, b) < 1e-5 for a, b in zip(found, expected, strict=True))


def test_views_with_gaps_are_read_where_they_lie(relative_error):
    whole = torch.randn(2, 48, 20, 28).to(memory_format=torch.channels_last)
    for view in (whole[:, 8:40, 3:, ::2], whole.contiguous()[:, ::2, :, 2:9], whole[..., ::4]):
        x = view.detach().requires_grad_()
        weight = torch.randn(x.shape[1], 1, 3, 3, requires_grad=True)
        check(x, weight, relative_error, padding=1)


def test_the_result_keeps_the_memory_format():
    for layout, form in FORMATS.items():
        y = depthwise_conv2d(*inputs((2, 16, 6, 6), (3, 3), layout), padding=1)
        assert y.is_contiguous(memory_format=form)


def test_only_the_gradients_that_are_asked_for_are_made():
    x, weight = inputs((1, 16, 6, 6), (3, 3))
    depthwise_conv2d(x.detach(), weight).sum().backward()
    assert weight.grad is not None
    depthwise_conv2d(x, weight.detach()).sum().backward()
    assert x.grad is not None


def test_second_derivatives_are_torchs():
    def penalty(function):
        x, weight = inputs((1, 16, 6, 6), (3, 3))
        torch.manual_seed(1)
        x.data.normal_(), weight.data.normal_()
        (slope,) = torch.autograd.grad(function(x, weight).pow(2).sum(), x, create_graph=True)
        slope.pow(2).sum().backward()
        return weight.grad

    ours = penalty(depthwise_conv2d)
    torch.testing.assert_close(ours, penalty(lambda x, w: F.conv2d(x, w, groups=16)))


@pytest.mark.parametrize("layout", FORMATS)
def test_the_same_input_gives_the_same_bits(layout):
    x, weight = inputs((4, 48, 30, 30), (5, 5), layout)
    y = depthwise_conv2d(x, weight, padding=2)
    dy = torch.randn_like(y)
    runs = [torch.autograd.grad(y, (x, weight), dy, retain_graph=True) for _ in range(3)]
    for run in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(run, runs[0], strict=True))


def test_more_threads_give_the_same_result(relative_error):
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        x, weight = inputs((3, 48, 20, 21), (3, 3))
        check(x, weight, relative_error, padding=1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_two_python_threads_may_call_at_once():
    cases = [inputs((2, 64, 40, 42), (3, 3)) for _ in range(2)]
    expected = [F.conv2d(x, w, padding=1, groups=64) for x, w in cases]
    found, failed = [None, None], []

    def work(index):
        x, weight = cases[index]
        for _ in range(20):
            y = depthwise_conv2d(x, weight, padding=1)
            y.sum().backward()
            if not torch.allclose(y, expected[index], atol=1e-4):
                failed.append(index)
        found[index] = y

    threads = [threading.Thread(target=work, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert all(y is not None for y in found)


def test_what_the_kernels_do_not_know_is_left_to_torch():
    x, weight = inputs((1, 16, 6, 6), (3, 3))
    y = depthwise_conv2d(x.double(), weight.double())
    assert not is_ours(y)
    with enabled(False):
        assert not is_ours(depthwise_conv2d(x, weight))
    assert is_ours(depthwise_conv2d(x, weight))
    with pytest.raises(RuntimeError, match=r"[Kk]ernel size"):
        depthwise_conv2d(x, torch.zeros(16, 1, 9, 9))


def test_gradients_of_float64_hold_against_differences():
    x = torch.randn(1, 2, 5, 5, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 1, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(depthwise_conv2d, (x, weight))


def test_autocast_computes_in_its_dtype():
    x, weight = inputs((1, 24, 8, 10), (3, 3))
    with torch.autocast("cpu", torch.bfloat16):
        y = depthwise_conv2d(x, weight, padding=1)
    assert y.dtype == torch.bfloat16
    y.float().sum().backward()
    assert weight.grad is not None
    assert weight.grad.dtype == torch.float32


def test_function_transforms_see_an_ordinary_convolution():
    x, weight = inputs((3, 16, 6, 6), (3, 3))
    one_by_one = torch.func.vmap(lambda one: depthwise_conv2d(one[None], weight)[0])(x)
    torch.testing.assert_close(one_by_one, F.conv2d(x, weight, groups=16))


def test_a_cost_count_sees_an_ordinary_convolution():
    from torch.utils.flop_counter import FlopCounterMode

    x, weight = inputs((1, 16, 6, 6), (3, 3))
    with FlopCounterMode(display=False) as counter:
        depthwise_conv2d(x, weight)
    assert counter.get_total_flops() == 2 * 16 * 4 * 4 * 9


@pytest.mark.slow
def test_the_operators_keep_torchs_rules():
    for layout in FORMATS:
        x, weight = inputs((2, 16, 6, 6), (3, 3), layout)
        arguments = (x, weight, [1, 1], [1, 1], [1, 1])
        torch.library.opcheck(torch.ops.convatlas.depthwise_conv2d.default, arguments)


def test_the_operator_names_shapes_that_make_no_layer():
    operator = torch.ops.convatlas.depthwise_conv2d
    x, weight = torch.randn(1, 16, 4, 4), torch.randn(16, 1, 3, 3)
    wrong = [(x, torch.randn(16, 1, 5, 5)), (x, torch.randn(8, 1, 3, 3)), (x, weight.bfloat16())]
    for pair in (*wrong, (x.double(), weight.double())):
        with pytest.raises(ValueError, match=r"x \(1, 16, 4, 4\) of .* make no layer of stride"):
            operator(*pair, [1, 1], [0, 0], [1, 1])


@pytest.mark.slow
def test_compile_takes_the_operator_without_a_break():
    x, weight = inputs((2, 16, 6, 6), (3, 3))
    compiled = torch.compile(
        lambda x, w: depthwise_conv2d(x, w, padding=1).relu(), fullgraph=True, backend="aot_eager"
    )
    y = compiled(x, weight)
    y.sum().backward()
    found = y, x.grad, weight.grad
    x2, w2 = (t.detach().requires_grad_() for t in (x, weight))
    expected = F.conv2d(x2, w2, padding=1, groups=16).relu()
    expected.sum().backward()
    for ours, theirs in zip(found, (expected, x2.grad, w2.grad), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.slow
def test_export_sees_an_ordinary_convolution():
    class Layer(torch.nn.Module):
        def forward(self, x, weight):
            return depthwise_conv2d(x, weight, padding=1)

    x, weight = (t.detach() for t in inputs((2, 16, 6, 6), (3, 3)))
    program = torch.export.export(Layer(), (x, weight))
    targets = [str(node.target) for node in program.graph.nodes]
    assert "aten.conv2d.default" in targets
    assert not any("convatlas" in target for target in targets)
    torch.testing.assert_close(program.module()(x, weight), depthwise_conv2d(x, weight, padding=1))


def test_a_large_map_of_stride_two_is_the_same(relative_error):
    x, weight = inputs((2, 48, 37, 28), (3, 3))
    check(x, weight, relative_error, stride=2, padding=1)
