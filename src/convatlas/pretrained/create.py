"""`create_model` with public weights: the network, the file, the translation, put together."""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import nn

from convatlas import models
from convatlas.errors import UsageError, nearest
from convatlas.models.dilation import set_output_stride
from convatlas.models.features import feature_maps
from convatlas.models.headless import reset_classifier
from convatlas.models.registry import find_entry
from convatlas.pretrained.backbone import with_backbone
from convatlas.pretrained.checkpoint import (
    Checkpoint,
    backbones,
    checkpoints_of,
    names_with_weights,
)
from convatlas.pretrained.places import fetch, local_file, say_on_stderr
from convatlas.pretrained.read import read_tensors
from convatlas.pretrained.translate import fit_tensors


class Loaded(NamedTuple):
    """A network with public weights; `fresh` are the tensors that have none yet."""

    model: nn.Module
    checkpoint: Checkpoint
    fresh: frozenset[str]


def create_model(
    name: str,
    *,
    pretrained: bool = False,
    features_only: bool = False,
    output_stride: int | None = None,
    **options: Any,
) -> nn.Module:
    """Build a registered network, with fresh or with public weights.

    With `pretrained=True` the network carries `.public_weights`: source, licence and
    `.preprocess()`, the module that prepares images as these weights expect. Another `num_classes`
    leaves the classifier fresh, and 0 leaves it out; other `in_channels` adapt the first layer,
    and with it mean and deviation of `.preprocess()`. A segmenter or detector that holds a
    classifier gets the weights of that part.

    Args:
        name: as `list_models` gives it.
        pretrained: take public weights, from an installed package, the hub's cache or the hub.
            Source and size of a download are printed first.
        features_only: return the maps of each stage, coarsest last, instead of logits; the
            network then has `.feature_channels` and `.feature_strides`.
        output_stride: 8 or 16 keeps the coarsest maps at that share of the image, with dilation
            in place of the strides beyond it and the same weights; for detectors and segmenters.
        options: over those of the name, e.g. `num_classes=10, in_channels=1, width=0.5`;
            `num_classes=0` leaves out the last layer, so that the network returns the pooled
            features, `.num_features` an image. `.reset_classifier(n)` gives it a new one.

    Raises:
        UnknownNameError: no such name.
        UsageError: no such option, no public weights, or no stages to take features from.
        WeightsError: the weights cannot be had or do not fit.
    """
    if not pretrained:
        return models.create_model(
            name, features_only=features_only, output_stride=output_stride, **options
        )
    loaded = load_public(name, options)
    if output_stride is not None:
        set_output_stride(loaded.model, output_stride, name)
    model = feature_maps(loaded.model, name) if features_only else loaded.model
    checkpoint = loaded.checkpoint
    if name in backbones() or "in_channels" in options:
        checkpoint = checkpoint.with_channels(options.get("in_channels", loaded.model.in_channels))
    model.public_weights = checkpoint  # pyright: ignore[reportArgumentType]  a plain record
    return model


def load_public(
    name: str,
    options: dict[str, Any],
    *,
    checkpoint: Checkpoint | None = None,
    say: Callable[[str], None] = say_on_stderr,
) -> Loaded:
    """Build a network and give it public weights; one that holds a classifier gets them there.

    Args:
        checkpoint: which ones; None prefers those that are on this machine.
        say: is called with source and size before a download.

    Raises:
        UnknownNameError: no such name.
        UsageError: no such option, no public weights, or an option that they exclude.
        WeightsError: the weights cannot be had or do not fit.
    """
    entry = find_entry(name)
    checkpoint = checkpoint or choose_checkpoint(name)
    if (backbone := backbones().get(name)) is not None:

        def classifier(channels: int) -> nn.Module:
            given = {"in_channels": channels}
            return load_public(backbone, given, checkpoint=checkpoint, say=say).model

        model, fresh = with_backbone(entry, options, classifier)
        return Loaded(model, checkpoint, fresh)
    for option, value in checkpoint.options.items():
        if options.get(option, value) != value:
            raise UsageError(
                f"create_model: the public weights of {name} were trained with {option}={value}, "
                f"got {options[option]}; leave it out or take pretrained=False"
            )
    headless = options.get("num_classes") == 0
    if headless:
        options = {**options, "num_classes": checkpoint.num_classes}
    model = entry.build(**{**checkpoint.options, **options})
    tensors = read_tensors(fetch(checkpoint, say=say))
    fitted = fit_tensors(tensors, model, entry, checkpoint)
    model.load_state_dict(fitted.tensors, strict=False)  # completeness was checked, with our words
    if headless:
        reset_classifier(model, 0)
    return Loaded(model, checkpoint, fitted.fresh)


def choose_checkpoint(name: str) -> Checkpoint:
    """Choose a network's first checkpoint on this machine, else the first that a hub has.

    Raises:
        UsageError: there is none.
    """
    known = checkpoints_of(backbones().get(name, name))
    if not known:
        names = names_with_weights()
        near = nearest(name, names)
        raise UsageError(
            f"create_model: no public weights are known for '{name}'{near or ''}; "
            f"`list_models(pretrained=True)` names the {len(names)} networks that have them"
        )
    here = [c for c in known if local_file(c) is not None]
    afar = [c for c in known if c.repo is not None]
    return (here or afar or known)[0]
