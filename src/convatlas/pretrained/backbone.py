"""Networks that hold a classifier: its public weights for that part, the rest as it was drawn."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from convatlas.errors import WeightsError
from convatlas.models.registry import Entry
from convatlas.pretrained.checkpoint import backbones
from convatlas.text import shape_text


@runtime_checkable
class HasBackbone(Protocol):
    """A network that starts from the weights of a classifier; `checkpoints.toml` says of which."""

    in_channels: int

    def backbone_paths(self) -> Mapping[str, str]:
        """Return where each part of the classifier stands in the network.

        A linear layer may have become a convolution over the same maps.
        """
        ...


def with_backbone(
    entry: Entry, options: Mapping[str, Any], classifier: Callable[[int], nn.Module]
) -> tuple[nn.Module, frozenset[str]]:
    """Build a network and copy the classifier's weights into it.

    Args:
        options: over those of the name.
        classifier: returns the classifier with its weights, for images of a number of channels.

    Returns:
        the network, and the names of the tensors that keep what it drew.

    Raises:
        WeightsError: the network is built with other channels than the classifier.
    """
    model = entry.build(**options)
    assert isinstance(model, HasBackbone)
    theirs = classifier(model.in_channels).state_dict()
    copied = copied_tensors(model, theirs, entry.name)
    model.load_state_dict(copied, strict=False)
    return model, frozenset(model.state_dict().keys() - copied.keys())


def copied_tensors(model: nn.Module, theirs: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Return the tensors of a classifier under the names that the network has for them.

    Raises:
        WeightsError: a tensor of another size, or none for a part that should have them.
    """
    assert isinstance(model, HasBackbone)
    wanted, copied = model.state_dict(), {}
    for there, here in model.backbone_paths().items():
        within = [key for key in theirs if key.startswith(f"{there}.")]
        assert within, f"the classifier has no part {there}"
        for key in within:
            ours = here + key.removeprefix(there)
            if ours not in wanted or wanted[ours].numel() != theirs[key].numel():
                size = shape_text(wanted[ours].shape) if ours in wanted else "absent"
                raise WeightsError(
                    f"{name}: the public weights of {backbones()[name]} do not fit the network "
                    f"as it is built here: {ours} must be {size}, got "
                    f"{shape_text(theirs[key].shape)}; leave width and the like as published"
                )
            copied[ours] = theirs[key].reshape(wanted[ours].shape)
    return copied
