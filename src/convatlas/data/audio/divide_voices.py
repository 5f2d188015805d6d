"""Which speakers, or which mixtures, are trained on and which are held out."""

import random
from collections.abc import Callable
from dataclasses import replace

from convatlas.data.names import printable
from convatlas.data.sources.listing import SPLITS, Item, Listing
from convatlas.errors import DataError

HELD_OUT = 0.1  # of the speakers or mixtures, for validation and for the test each


def divided_speech(listing: Listing, voices: int, seed: int, background: str | None) -> Listing:
    """Give every recording a split, so that no speaker is in two, nor a recording of a background.

    Args:
        voices: of different speakers, that each split must have.
        background: a label that is no speaker's.

    Raises:
        DataError: there are too few speakers, or recordings of the background.
    """
    if background is None:
        return divided(listing, lambda item: item.label, voices, seed, "speakers")
    behind = [item for item in listing.items if item.label == background]
    if not behind:
        raise DataError(
            f"{listing.source}: must have recordings of the background "
            f"'{printable(background)}', got none"
        )
    speech = replace(listing, items=[i for i in listing.items if i.label != background])
    speech = divided(speech, lambda item: item.label, voices - 1, seed, "speakers")
    others = replace(listing, items=behind)
    others = divided(others, lambda item: item.file, 1, seed, f"recordings of {background}")
    return replace(listing, items=[*speech.items, *others.items])


def divided(
    listing: Listing, group: Callable[[Item], str], least: int, seed: int, what: str
) -> Listing:
    """Give every file a split, so that no group is in two; splits that are given stay.

    What the source does not state is cut off train, or off everything where it states nothing.

    Args:
        group: what stays together, such as the speaker.
        least: groups that each split must have.
        what: groups are called in a message, in the plural.

    Raises:
        DataError: there are too few groups.
    """
    missing = [split for split in ("test", "val") if split not in listing.given]
    pool = sorted({group(i) for i in listing.items if i.split in (None, "train")})
    order = random.Random(seed).sample(pool, len(pool))
    share = max(least, round(HELD_OUT * len(order)))
    held = {
        name: split
        for place, split in enumerate(missing)
        for name in order[place * share : (place + 1) * share]
    }
    items = [
        replace(item, split=held.get(group(item), "train"))
        if item.split in (None, "train")
        else item
        for item in listing.items
    ]
    groups = {split: {group(item) for item in items if item.split == split} for split in SPLITS}
    short = next((split for split in SPLITS if len(groups[split]) < least), None)
    if short is not None:
        raise DataError(
            f"{listing.source}: each split must have {least} {what} or more, got "
            f"{len(groups[short])} for {short}"
        )
    both = sorted(groups["train"] & groups["test"])
    if both:
        listing.notes.append(
            f"{len(both):,} {what} are in train and in test, such as {printable(both[0])}: the "
            f"test does not tell about new {what}"
        )
    return replace(listing, items=items)
