from convatlas.models import find_entry
from convatlas.pretrained.checkpoint import checkpoints_of
from convatlas.search.space import WIDTHS, Candidate, distinct_architectures, input_share
from convatlas.tasks.image_networks import (
    at_sizes,
    input_sizes,
    stem_for,
    transfer_networks,
    transfer_sizes,
)


def test_small_images_are_tried_as_they_are():
    assert input_sizes(28 * 28) == [32, 28, 21]
    assert input_sizes(40 * 40) == [40, 30]


def test_photographs_get_the_usual_sizes_up_to_their_own():
    assert input_sizes(150 * 170) == [160, 128, 96, 64, 48]
    assert max(input_sizes(3000 * 4000)) == 224


def test_the_stem_reduces_little_of_a_small_image():
    assert [stem_for(4, size) for size in (28, 96, 224)] == [1, 2, 4]
    assert [stem_for(2, size) for size in (28, 96, 224)] == [1, 2, 2]


def test_one_entry_for_each_network_whatever_its_widths():
    names = [entry.name for entry in distinct_architectures("classify")]
    classes = [entry.cls.__name__ for entry in distinct_architectures("classify")]
    assert classes.count("MobileNetV2") == 1
    assert "resnet20_cifar" in names
    assert "resnet56_cifar" in names


def test_a_ladder_goes_down_in_width_and_carries_what_the_data_decides():
    (sweep,) = at_sizes(find_entry("mobilenet_v2"), {"in_channels": 1, "num_classes": 7}, [28])
    assert [candidate.options["width"] for candidate in sweep] == list(WIDTHS)
    assert all(c.options["in_channels"] == 1 and c.options["num_classes"] == 7 for c in sweep)
    assert all(c.options["stem_stride"] == 1 for c in sweep)


def test_a_fixed_width_is_that_of_the_name():
    entry = find_entry("mobilenet_v2_w0.5")
    (sweep,) = at_sizes(entry, {"in_channels": 3, "num_classes": 7}, [96], fixed_width=True)
    (candidate,) = sweep
    model = candidate.build()
    assert sum(p.numel() for p in model.parameters()) < 1_000_000


def test_public_weights_are_tried_at_their_own_size_and_smaller():
    assert transfer_sizes(224, 500 * 400) == [224, 192, 160, 128, 96]
    assert transfer_sizes(288, 256 * 256) == [224, 192, 160, 128, 96]
    assert transfer_sizes(224, 150 * 150) == [160, 128, 96]


def test_small_images_are_enlarged_to_what_public_weights_know():
    assert transfer_sizes(224, 28 * 28) == [128, 96]


def test_candidates_of_public_weights_keep_width_and_stem_and_take_the_datas_classes():
    (checkpoint,) = checkpoints_of("resnet50")
    options = {"in_channels": 1, "num_classes": 7}
    (rows,) = transfer_networks([checkpoint], options, 32 * 32).values()
    assert [[c.example["size"] for c in row] for row in rows] == [[128], [96]]
    candidate = rows[0][0]
    assert candidate.options == {"stride_in_3x3": True, "in_channels": 1, "num_classes": 7}
    assert candidate.checkpoint == checkpoint


def test_the_share_of_an_input_is_that_of_its_pixels_or_voxels():
    image, volume = Candidate("lenet5", {}, {"size": 16}), {"size": 16, "depth": 8}
    assert input_share(image, (1, 32, 32)) == 1 / 4
    assert input_share(Candidate("unet3d", {}, volume), (3, 16, 32, 32)) == 1 / 8
    assert input_share(image, (3, 16, 32, 32)) is None
    assert input_share(Candidate("unet3d", {}, volume), (3, 32, 32)) is None
    assert input_share(Candidate("lenet5", {}, {"seconds": 2.0}), (1, 32, 32)) is None
