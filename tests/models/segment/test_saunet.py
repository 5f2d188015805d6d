"""SAUNet: counts and sizes of the sheet, the encoder of a peer, losses against plain formulas."""

import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage

from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.on_shapes import on_shapes
from convatlas.models.segment.dense_encoder import DenseEncoder
from convatlas.models.segment.dual_attention import DualAttention
from convatlas.models.segment.mask_borders import mask_borders
from convatlas.models.segment.saunet import SAUNet
from convatlas.models.segment.segmenter import IGNORED
from convatlas.models.segment.shape_stream import GatedConv

SHAPE_PARTS = ("shape", "edge_weight", "edge_maps")


def params(module):
    return sum(p.numel() for p in module.parameters())


def test_parameters_are_those_counted_from_the_authors_network():
    with on_shapes():
        model = create_model("saunet")
    shape = sum(params(getattr(model, part)) for part in SHAPE_PARTS)
    total = params(model)
    assert (params(model.encoder), shape, total) == (6_953_856, 113_197, 31_871_505)
    assert total - params(model.encoder) - shape == 24_804_452


def test_sizes_at_256_pixels_are_those_of_the_tables():
    with on_shapes(), torch.no_grad():
        model = create_model("saunet").eval()
        (image,) = model.example()
        texture = [(64, 128), (128, 64), (256, 32), (512, 16), (1024, 16)]
        assert [x.shape for x in model.encoder(image)] == [(1, c, s, s) for c, s in texture]
        assert model(image).shape == (1, 4, 256, 256)
        sides = {"edge": 256, "canny": 256, "edge_attention": 256}
        sides |= {"gate1": 256, "gate2": 256, "gate3": 256}
        sides |= {"attention1": 16, "attention2": 32, "attention3": 64, "attention4": 128}
        assert {k: v.shape for k, v in model.maps(image).items()} == {
            k: (1, 1, s, s) for k, s in sides.items()
        }
        with pytest.raises(ValueError, match="h and w a multiple of 32, from 32 pixels up"):
            model(torch.rand(1, 3, 256, 240))


def test_maps_are_shares_and_the_same_run_as_the_answer():
    model, (images,) = SAUNet.tiny()
    model.eval()
    with torch.no_grad():
        maps = model.maps(images)
    assert all(m.min() >= 0 and m.max() <= 1 for m in maps.values())
    assert set(maps["canny"].unique().tolist()) == {0.0, 1.0}
    seen = []
    model.decoder[3].register_forward_hook(lambda *given: seen.append(given[2][1]))
    model(images)
    torch.testing.assert_close(seen[0], maps["attention4"])


def test_the_texture_stream_is_the_peers_network_without_its_first_pooling():
    densenet = pytest.importorskip("torchvision.models.densenet")
    torch.manual_seed(0)
    peer = densenet.DenseNet(8, (2, 3, 2, 2), 16).features.eval()
    for module in peer.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, std=0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    ours = DenseEncoder(3, 8, (2, 3, 2, 2)).eval()
    # Both hold the same tensors in the same order.
    theirs = [v for v in peer.state_dict().values() if v.dim() > 0]
    names = [k for k, v in ours.state_dict().items() if v.dim() > 0]
    ours.load_state_dict(dict(zip(names, theirs, strict=True)), strict=False)
    image = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        maps = [peer.norm0(peer.conv0(image))]
        for i in (1, 2, 3):
            block, transition = getattr(peer, f"denseblock{i}"), getattr(peer, f"transition{i}")
            maps.append(transition(block(maps[-1])))
        maps.append(peer.norm5(peer.denseblock4(maps[-1])))
        for got, expected in zip(ours(image), maps, strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def test_a_gate_weighs_pixels_and_a_block_channels_and_places():
    torch.manual_seed(0)
    gated, x, beside = GatedConv(6).eval(), torch.randn(2, 6, 5, 4), torch.randn(2, 1, 5, 4)
    y, alpha = gated(x, beside)
    expected = torch.einsum("nchw,dc->ndhw", x + x * alpha, gated.mix.weight[:, :, 0, 0])
    torch.testing.assert_close(y, expected)
    block = DualAttention(8, 4, 64).eval()
    y, places = block(torch.randn(2, 8, 3, 3), beside := torch.randn(2, 4, 6, 6))
    captured = {}
    block.fuse.register_forward_hook(lambda m, given, maps: captured.update(maps=maps))
    block(torch.randn(2, 8, 3, 3), beside)
    maps = captured["maps"]
    reduce, expand = block.channels.reduce, block.channels.expand
    squeezed = expand(reduce(maps.mean((2, 3))).relu()).sigmoid()
    got, places = block.channels(maps), block.places(maps)
    torch.testing.assert_close(got, maps * squeezed[:, :, None, None])
    assert places.shape == (2, 1, 6, 6)
    assert reduce.out_features == 4


def test_borders_are_those_of_a_distance_transform():
    torch.manual_seed(0)
    coarse = torch.randint(0, 4, (3, 1, 6, 7)).float()
    masks = F.interpolate(coarse, scale_factor=6)[:, 0].long()
    masks[0, 20, 20] = 3  # a single pixel
    for mask, got in zip(masks.numpy(), mask_borders(masks, IGNORED).numpy(), strict=True):
        expected = torch.zeros(mask.shape, dtype=torch.bool).numpy()
        for label in range(4):
            inside = mask == label
            if inside.any() and not inside.all():
                distance = ndimage.distance_transform_edt(inside)
                distance += ndimage.distance_transform_edt(~inside)
                expected |= distance <= 2
        assert (got == expected).all()


def test_ignored_pixels_have_no_border_and_no_loss():
    masks = torch.zeros(1, 64, 64, dtype=torch.int64)
    masks[:, 10:20, 10:20] = IGNORED
    assert not mask_borders(masks, IGNORED).any()
    model, _ = SAUNet.tiny()
    images = torch.rand(1, 3, 64, 64)
    masks[:, 30:50, 30:50] = 2
    losses = model.eval().losses(images, masks)
    logits = model(images)
    known = (masks != IGNORED)[0]
    chosen, truth = logits[0, :, known], masks[0, known]
    torch.testing.assert_close(losses["cross_entropy"], F.cross_entropy(chosen.T, truth))
    share, hot = chosen.softmax(0), F.one_hot(truth, 5).T
    dice = 2 * (share * hot).sum(1) / (share.sum(1) + hot.sum(1))
    torch.testing.assert_close(losses["dice"], 1 - dice.mean())
    edge, _ = model.shape(model.encoder(images)[1:])
    edge, near = edge[0, 0, known], mask_borders(masks, IGNORED)[0, known].float()
    torch.testing.assert_close(losses["edge"], (F.softplus(edge) - edge * near).mean())
    torch.testing.assert_close(model.maps(images)["edge"][0, 0, known], edge.sigmoid())
    nothing = model.losses(images, torch.full_like(masks, IGNORED))
    assert nothing["cross_entropy"] == nothing["edge"] == 0


def test_losses_reach_every_weight_and_weigh_classes():
    model, (images,) = SAUNet.tiny()
    masks = torch.randint(0, 5, images[:, 0].shape)
    sum(model.losses(images, masks).values()).backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())
    weights = (1.0, 4.0, 5.0, 1.0, 0.5)
    model.eval().class_weights = weights
    expected = F.cross_entropy(model(images), masks, torch.tensor(weights))
    torch.testing.assert_close(model.losses(images, masks)["cross_entropy"], expected)


def test_options_that_no_network_has_are_refused():
    with pytest.raises(UsageError, match="layers must be four numbers"):
        create_model("saunet", layers=(6, 12, 24))
    with pytest.raises(UsageError, match="class_weights must be 4 numbers, got 2"):
        create_model("saunet", class_weights=(1, 2))
