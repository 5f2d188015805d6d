"""A published figure and its status, and where public weights lie, in words."""

from convatlas.atlas.compare import CHANGED, DIFFERS, HOLDS, NOT_CHECKED, Row
from convatlas.claims.claim import Claim
from convatlas.pretrained.checkpoint import Checkpoint
from convatlas.text import format_number

STATUS_WORDS = {HOLDS: "holds", DIFFERS: "differs", NOT_CHECKED: "not checked", CHANGED: "changed"}


def claim_line(row: Row) -> str:
    """Say a published figure and its status in one line."""
    claim = row.claim
    about = circumstances(claim)
    ours = "" if row.ours is None else f", counted {row.ours:,}"
    why = f": {row.why}" if row.why else ""
    return (
        f"{claim.quantity} {claim.printed}{f' ({about})' if about else ''}, {claim.where}{ours}: "
        f"{STATUS_WORDS[row.status]}{why}"
    )


def circumstances(claim: Claim) -> str:
    """Say which options, dataset and way of testing a figure holds for, if not the plain ones."""
    options = [f"{name}={value}" for name, value in claim.options.items()]
    dataset = claim.dataset if claim.check == "train" else None
    return ", ".join([*options, *(word for word in (dataset, claim.setting) if word)])


def weights_line(checkpoint: Checkpoint) -> str:
    """Say source, size and licence of public weights, and their publisher's accuracy."""
    top1 = checkpoint.top1_percent
    accuracy = f", top-1 {top1:g} % by {checkpoint.published_by}" if top1 is not None else ""
    size = format_number(checkpoint.bytes, "bytes")
    return f"{checkpoint.source} ({size}, licence {checkpoint.licence}{accuracy})"
