from convatlas.models import find_entry
from convatlas.search.space import WIDTHS, input_sizes, ladders, stem_for, structures


def test_small_images_are_tried_as_they_are():
    assert input_sizes(28, 28) == [32, 28, 21]
    assert input_sizes(40, 40) == [40, 30]


def test_photographs_get_the_usual_sizes_up_to_their_own():
    assert input_sizes(150, 170) == [160, 128, 96, 64, 48]
    assert max(input_sizes(3000, 4000)) == 224


def test_the_stem_reduces_little_of_a_small_image():
    assert [stem_for(4, size) for size in (28, 96, 224)] == [1, 2, 4]
    assert [stem_for(2, size) for size in (28, 96, 224)] == [1, 2, 2]


def test_one_entry_for_each_network_whatever_its_widths():
    names = [entry.name for entry in structures()]
    classes = [entry.cls.__name__ for entry in structures()]
    assert classes.count("MobileNetV2") == 1
    assert "resnet20_cifar" in names
    assert "resnet56_cifar" in names


def test_a_ladder_goes_down_in_width_and_carries_what_the_data_decides():
    (ladder,) = ladders(find_entry("mobilenet_v2"), channels=1, num_classes=7, sizes=[28])
    assert [candidate.options["width"] for candidate in ladder] == list(WIDTHS)
    assert all(c.options["in_channels"] == 1 and c.options["num_classes"] == 7 for c in ladder)
    assert all(c.options["stem_stride"] == 1 for c in ladder)


def test_a_fixed_width_is_that_of_the_name():
    entry = find_entry("mobilenet_v2_w0.5")
    (ladder,) = ladders(entry, channels=3, num_classes=7, sizes=[96], fixed_width=True)
    (candidate,) = ladder
    model = candidate.build()
    assert sum(p.numel() for p in model.parameters()) < 1_000_000
