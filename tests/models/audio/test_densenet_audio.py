"""The image network unchanged, with another last layer."""

from convatlas.atlas.index import read_index
from convatlas.models import create_model
from convatlas.models.on_shapes import on_shapes


def test_it_is_densenet_201_with_another_last_layer():
    entry = read_index()["densenet201_audio"]
    assert (entry.params, entry.input) == (18_188_978, (3, 128, 250))
    with on_shapes():
        ours = create_model("densenet201_audio", num_classes=10).state_dict()
        images = create_model("densenet201").state_dict()
    assert {k for k in images if images[k].shape != ours[k].shape} == {
        "classifier.weight",
        "classifier.bias",
    }
    assert list(ours) == list(images)
