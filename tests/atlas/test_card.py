import inspect
import json

import pytest

import convatlas
from convatlas.atlas.card import describe
from convatlas.errors import UnknownNameError, UsageError
from convatlas.models.classify.mobilenet_v2 import MobileNetV2


def test_a_card_holds_what_is_known():
    card = convatlas.describe("mobilenet_v2")
    assert (card.task, card.params, card.macs) == ("classify", 3_504_872, 300_774_272)
    assert card.input == (3, 224, 224)
    assert card.paper.startswith("Sandler et al., CVPR 2018, arXiv:1801.04381v4")
    assert {row.claim.model for row in card.claims} == {"mobilenet_v2"}
    assert [option.name for option in card.options] == list(
        inspect.signature(MobileNetV2).parameters
    )
    assert all(option.about for option in card.options)


def test_options_change_the_count_and_stand_on_the_card():
    card = describe("mobilenet_v2", num_classes=10)
    assert card.params == 3_504_872 - 990 * 1281
    assert {o.name: o.default for o in card.options}["num_classes"] == 10


def test_a_card_prints_and_becomes_json():
    card = describe("lenet5")
    text = str(card)
    assert "60.0 k params" in text
    assert "claim    params 60,000, section II.B, counted 60,000: holds" in text
    content = json.loads(json.dumps(card.to_dict()))
    assert content["params"] == 60_000
    assert content["input"] == [1, 32, 32]
    assert sum(layer["params"] for layer in content["layers"]) == 60_000


def test_a_card_says_which_public_weights_there_are():
    card = describe("resnet18")
    assert card.to_dict()["weights"][0]["licence"] == "bsd-3-clause"
    assert (
        "weights  Hugging Face hub, timm/resnet18.tv_in1k, model.safetensors (46.8 MB, licence "
        "bsd-3-clause, top-1 69.758 % by torchvision, IMAGENET1K_V1)"
    ) in str(card)
    assert describe("lenet5").weights == ()


def test_unknown_names_and_options_are_answered_with_near_ones():
    with pytest.raises(UnknownNameError, match="no model 'mobilenetv2'; nearest: mobilenet_v2"):
        describe("mobilenetv2")
    with pytest.raises(UsageError, match="no option 'widht'; nearest: width"):
        describe("mobilenet_v2", widht=0.5)


@pytest.mark.parametrize(
    ("name", "paper"),
    [
        ("alexnet", "One weird trick"),
        ("alexnet_two_tower", "NIPS 2012"),
        ("wide_resnet50_2", "Zagoruyko and Komodakis"),
        ("se_shufflenet_v1_g3", "Hu, Shen"),
    ],
)
def test_a_variant_stands_under_the_paper_that_it_comes_from(name, paper):
    assert paper in describe(name).paper
