import torch

from convatlas.models import create_model


def test_counts_are_those_of_the_configuration_file(counted):
    assert counted("darknet_mobilenet_v2") == (3_471_784 + 34_176, 429_111_936)


def test_blocks_answer_as_those_of_googles_network_with_the_same_weights():
    """Its residual blocks are those of `mobilenet_v2`, whose own peer is torchvision."""
    torch.manual_seed(0)
    theirs = create_model("mobilenet_v2", num_classes=7).eval()
    ours = create_model("darknet_mobilenet_v2", num_classes=7).eval()
    for module in theirs.modules():  # as here: ReLU without a limit
        for name, child in module.named_children():
            if isinstance(child, torch.nn.ReLU6):
                setattr(module, name, torch.nn.ReLU())
    pairs = list(zip(_blocks(ours), _blocks(theirs)[1:], strict=True))  # the first one apart
    assert len(pairs) == 16
    for mine, peer in pairs:
        mine.load_state_dict(dict(zip(mine.state_dict(), peer.state_dict().values(), strict=True)))
        if mine.filter[0].stride == peer.filter[0].stride:
            x = torch.randn(1, mine.expand[0].in_channels, 6, 6)
            torch.testing.assert_close(mine(x), peer(x))


def _blocks(model):
    names = ("MBConv", "InvertedResidual")
    return [m for m in model.modules() if type(m).__name__ in names]


def test_features_halve_five_times():
    with torch.device("meta"):
        model = create_model("darknet_mobilenet_v2", features_only=True)
    assert model.feature_strides == [2, 4, 8, 16, 32]
    assert model.feature_channels == [16, 24, 64, 96, 320]
