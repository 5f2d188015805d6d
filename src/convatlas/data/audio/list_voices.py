"""Which files hold clean speech, and of whom, or mixtures and their voices."""

from dataclasses import dataclass, field
from pathlib import Path

from convatlas.data.audio.open import list_sounds
from convatlas.data.audio.tables import Folds
from convatlas.data.formats import SOUNDS, SPEECH
from convatlas.data.names import printable, printable_few
from convatlas.data.sources.folders import find_splits
from convatlas.data.sources.listing import Item, Listing
from convatlas.data.sources.walk import look, walk
from convatlas.errors import DataError

MIX_FOLDERS = ("mix", "mixture", "mixtures", "mix_clean", "mix_both")
SHORT_SPLITS = {"tr": "train", "cv": "val", "tt": "test"}  # as WSJ0-2mix has them
LAYOUTS = (
    "a folder SPEAKER/files of clean speech, which is mixed",
    "a CSV file with a column of clean speech and one of speakers",
    "a folder with mix/, s1/ and s2/, files of the same names in each, or train/ and test/ of such",
)


@dataclass(frozen=True)
class MixedFiles:
    """Mixtures beside their voices: `references` holds the files of each mixture's voices."""

    listing: Listing
    references: dict[str, list[str]] = field(default_factory=dict)


def holds_mixtures(source: Path) -> bool:
    """Return whether a folder has mixtures beside their voices, or splits of such."""
    try:
        if not source.is_dir():
            return False
        return any(map(_mix_folders, (source, *look(source, source).folders)))
    except (OSError, DataError):
        return False


def list_mixtures(root: Path, voices: int | None) -> MixedFiles:
    """Return the mixtures of a folder, each with the files of its voices.

    Args:
        voices: that were asked for; the folders `s1`, `s2` and so on decide where not given.

    Raises:
        DataError: the folders do not agree, or hold another number of voices.
    """
    found = MixedFiles(Listing(printable(root), root, []))
    if _mix_folders(root):
        _add(found, root, None, voices)
        return found
    folders = look(root, root, SOUNDS).folders
    splits = find_splits(root, folders, SOUNDS, need_train=False)
    splits |= {SHORT_SPLITS[f.name]: f for f in folders if f.name in SHORT_SPLITS}
    for split, folder in splits.items():
        if _mix_folders(folder):
            _add(found, folder, split, voices)
    return found


def list_speech(source: Path, *, need_train: bool) -> Listing:
    """Return clean speech; the label of each recording is its speaker.

    Raises:
        DataError: the data cannot be used.
    """
    return list_sounds(source, Folds(used=False), need_train=need_train, kind=SPEECH)


def _mix_folders(folder: Path) -> list[Path]:
    """Folders of mixtures that stand beside one of first voices."""
    if not (folder / "s1").is_dir():
        return []
    return [folder / name for name in MIX_FOLDERS if (folder / name).is_dir()]


def _add(found: MixedFiles, folder: Path, split: str | None, voices: int | None) -> None:
    root, listing = found.listing.root, found.listing
    mix, *others = _mix_folders(folder)
    if others:
        names = printable_few(each.name for each in (mix, *others))
        raise DataError(
            f"{printable(folder)}: must hold one folder of mixtures, got {names}; move the others"
        )
    sources = []
    while (folder / f"s{len(sources) + 1}").is_dir():
        sources.append(folder / f"s{len(sources) + 1}")
    if len(sources) < 2 or (voices is not None and voices != len(sources)):
        raise DataError(
            f"{printable(folder)}: must hold folders of {voices or 'at least 2'} voices "
            f"(s1, s2, ...), got {len(sources)}"
        )
    by_name = [_named(each, root) for each in sources]
    for name, file in _named(mix, root).items():
        voices_of = [names.get(name) for names in by_name]
        missing = [each.name for each, one in zip(sources, voices_of, strict=True) if one is None]
        if missing:
            listing.broken.append((file, f"has no file of that name in {', '.join(missing)}"))
            continue
        listing.items.append(Item(file, "mixture", split))
        found.references[file] = [one for one in voices_of if one is not None]


def _named(folder: Path, root: Path) -> dict[str, str]:
    """Sounds under a folder by their path in it, without the suffix."""
    level = walk(folder, root, SOUNDS)
    start = len(folder.relative_to(root).as_posix()) + 1
    return {file[start:].rpartition(".")[0]: file for file in level.files if SOUNDS.holds(file)}
