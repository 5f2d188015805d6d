"""List the registered networks by task, cost and name, without importing torch.

Networks of the package are read from the index; one that a user registers is counted when asked
for, and by then torch is loaded anyway.
"""

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from convatlas.atlas.index import Indexed, read_index
from convatlas.claims.claim import Claim
from convatlas.claims.loader import load_claims
from convatlas.errors import UsageError, nearest
from convatlas.pretrained.checkpoint import backbones, names_with_weights

_ERRORS = "_error_percent"
_OTHERS = ("top5", "gain")  # in the name of a percentage that is no accuracy of the first answer


@dataclass(frozen=True)
class Accuracy:
    """A published accuracy as a share of 1; `setting` where it was not one plain pass."""

    value: float
    dataset: str | None
    setting: str | None


@dataclass(frozen=True)
class Listed:
    """One line of the list."""

    name: str
    task: str
    paper: str
    params: int
    macs: int
    published: Accuracy | None
    pretrained: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the keys of `list --json`."""
        published = asdict(self.published) if self.published else {}
        return {
            "model": self.name,
            "task": self.task,
            "paper": self.paper,
            "params": self.params,
            "macs": self.macs,
            "accuracy": published.get("value"),
            "dataset": published.get("dataset"),
            "setting": published.get("setting"),
            "pretrained": self.pretrained,
        }


def list_models(
    task: str | None = None,
    *,
    max_params: float | None = None,
    max_macs: float | None = None,
    filter: str | Iterable[str] | None = None,
    pretrained: bool = False,
) -> list[str]:
    """List the names that `create_model` takes, sorted; costs are at the published input.

    Args:
        task: one shelf, e.g. `classify`.
        max_params: maximum number of parameters.
        max_macs: maximum number of multiply-adds.
        filter: a pattern such as `mobile*`, or several of which one must fit.
        pretrained: only those that `create_model(name, pretrained=True)` has public weights for,
            all of them or a part.

    Raises:
        UsageError: no such task.
    """
    names = [entry.name for entry in _select(task, max_params, max_macs, filter)]
    known = {*names_with_weights(), *backbones()}
    return [name for name in names if name in known] if pretrained else names


def rows(
    task: str | None = None,
    *,
    max_params: float | None = None,
    max_macs: float | None = None,
    filter: str | Iterable[str] | None = None,
    pretrained: bool = False,
) -> list[Listed]:
    """List the same with task, paper, cost and published accuracy.

    Raises:
        UsageError: no such task.
    """
    published, known = published_accuracies(), {*names_with_weights(), *backbones()}
    return [
        Listed(
            name=e.name,
            task=e.task,
            paper=e.short_paper,
            params=e.params,
            macs=e.macs,
            published=published.get(e.name),
            pretrained=e.name in known,
        )
        for e in _select(task, max_params, max_macs, filter)
        if e.name in known or not pretrained
    ]


def _select(
    task: str | None,
    max_params: float | None,
    max_macs: float | None,
    filter: str | Iterable[str] | None,
) -> list[Indexed]:
    known = _known()
    tasks = sorted({entry.task for entry in known.values()})
    if task is not None and task not in tasks:
        near = nearest(task, tasks) or f"; there is {', '.join(tasks)}"
        raise UsageError(f"list_models: no task '{task}'{near}")
    patterns = [filter] if isinstance(filter, str) else list(filter or ["*"])
    return [
        entry
        for name, entry in sorted(known.items(), key=lambda item: _natural(item[0]))
        if task in (None, entry.task)
        and (max_params is None or entry.params <= max_params)
        and (max_macs is None or entry.macs <= max_macs)
        and any(fnmatchcase(name, pattern) for pattern in patterns)
    ]


def _natural(name: str) -> list[float | str]:
    """Sort resnet18 before resnet101 and w0.25 before w0.5: words and numbers take turns."""
    parts = re.split(r"(\d+(?:\.\d+)?)", name)
    return [float(part) if index % 2 else part for index, part in enumerate(parts)]


def _known() -> Mapping[str, Indexed]:
    known = dict(read_index())
    registry = sys.modules.get("convatlas.models.registry")
    if registry is not None:
        for name in registry.model_names():
            if name not in known:
                known[name] = _counted(name)
    return known


def _counted(name: str) -> Indexed:
    from convatlas.atlas.counting import index_entry
    from convatlas.models.registry import find_entry

    return index_entry(find_entry(name))


@cache
def published_accuracies() -> Mapping[str, Accuracy]:
    """Return one accuracy a name: of the oldest paper, tested in the plain way if there is one."""
    chosen: dict[str, Claim] = {}
    for claim in load_claims():
        if claim.options or claim.check != "train" or not _is_accuracy(claim.quantity):
            continue
        kept = chosen.setdefault(claim.model, claim)
        if kept.setting is not None and claim.setting is None:
            chosen[claim.model] = claim
    return {name: _accuracy(claim) for name, claim in chosen.items()}


def _is_accuracy(quantity: str) -> bool:
    return quantity.endswith("_percent") and not any(word in quantity for word in _OTHERS)


def _accuracy(claim: Claim) -> Accuracy:
    percent = 100 - claim.value if claim.quantity.endswith(_ERRORS) else claim.value
    return Accuracy(round(percent / 100, 6), claim.dataset, claim.setting)
