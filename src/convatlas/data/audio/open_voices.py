"""Opening speech for separation: list, read the headers, scan, divide by speaker."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from convatlas.data.audio.divide_voices import divided
from convatlas.data.audio.kept_sounds import KeptSounds
from convatlas.data.audio.list_voices import holds_mixtures, list_mixtures, list_speech
from convatlas.data.audio.mixers import FileMixer, SpeechMixer
from convatlas.data.audio.open import choose_rate
from convatlas.data.audio.read import MAX_SECONDS
from convatlas.data.audio.scan import SoundFacts, read_headers, scan_sounds
from convatlas.data.audio.sound_data import SoundStore
from convatlas.data.audio.voice_data import (
    MIXTURES,
    SPEAKERS,
    Mixer,
    VoiceData,
    VoiceFacts,
    VoiceSplit,
)
from convatlas.data.formats import SOUNDS
from convatlas.data.names import printable, stored_name, true_name
from convatlas.data.scan_report import ScanReport
from convatlas.data.sources.broken_share import check_share, count_named
from convatlas.data.sources.duplicates import find_duplicates, pairs_across
from convatlas.data.sources.listing import SPLITS, Item, Listing
from convatlas.errors import DataError

Progress = Callable[[int, int], None]
TRAIN_MIXTURES, EACH_USED = 1000, 4  # made for training: at least; each recording about so often
MAX_MIXTURES = 20_000
JUDGED_MIXTURES = {"val": 100, "test": 200}
SILENT = "silent throughout"


@dataclass(frozen=True)
class Mixing:
    """How speech is read and mixed, as the user asked.

    Args:
        rate_hz: at which the network hears; the data decide where not given.
        voices: in each mixture; two, or as many as the folders hold, where not given.
        level_db: by which voices differ at most, where they are mixed here.
        seconds: of a training example.
        max_seconds: of one file.
    """

    rate_hz: int | None = None
    voices: int | None = None
    level_db: float = 5.0
    seconds: float = 2.0
    max_seconds: float = MAX_SECONDS


def open_voices(
    source: str | Path,
    *,
    seed: int = 0,
    max_broken: float = 0.05,
    mixing: Mixing | None = None,
    progress: Progress | None = None,
    kept: KeptSounds | None = None,
) -> VoiceData:
    """Open speech for training: every file is decoded once, and what is wrong is named.

    Splits that the source states are kept; else speakers (or mixtures) are divided, so that no
    speaker of the test is heard in training.

    Args:
        source: in a layout of `list_voices.LAYOUTS`.
        max_broken: share of the files that may be broken; they are skipped.
        progress: called with the files done and their total.
        kept: takes what is decoded, so that it need not be decoded again.

    Raises:
        DataError: the data cannot be used; names the file, line or folder and a way out.
    """
    mixing = mixing or Mixing()
    opening = _Opening(_real(source), mixing, max_broken, progress, kept, need_train=True)
    voices = opening.voices
    if opening.references:
        listing = divided(opening.listing, lambda item: item.file, 1, seed, "mixtures")
    else:
        listing = divided(opening.listing, lambda item: item.label, voices, seed, "speakers")
    return opening.data(listing, seed)


def open_voice_test(
    source: str | Path,
    facts: VoiceFacts,
    *,
    max_broken: float = 0.05,
    progress: Progress | None = None,
) -> VoiceData:
    """Open speech to evaluate a run on: one split, `test`; only that where the source states one.

    Raises:
        DataError: the data cannot be used.
    """
    mixing = Mixing(
        facts.rate_hz, facts.voices, seconds=facts.seconds, max_seconds=facts.max_seconds
    )
    opening = _Opening(_real(source), mixing, max_broken, progress, None, need_train=False)
    listing = opening.listing
    if "test" in listing.given:
        listing = replace(listing, items=[i for i in listing.items if i.split == "test"])
    listing = replace(listing, items=[replace(item, split="test") for item in listing.items])
    speakers = {item.label for item in listing.items}
    if not opening.references and len(speakers) < facts.voices:
        raise DataError(
            f"{listing.source}: must have {facts.voices} speakers or more to mix, got "
            f"{len(speakers)}"
        )
    return opening.data(listing, 0)


class _Opening:
    """A source whose files have been listed and decoded."""

    def __init__(
        self,
        source: Path,
        mixing: Mixing,
        max_broken: float,
        progress: Progress | None,
        kept: KeptSounds | None,
        *,
        need_train: bool,
    ):
        self.source, self.mixing, self.kept = source, mixing, kept
        self.references: dict[str, list[str]] = {}
        if holds_mixtures(source):
            found = list_mixtures(source, mixing.voices)
            listing, self.references = found.listing, found.references
        else:
            listing = list_speech(source, need_train=need_train)
        self.voices = mixing.voices or max(2, *map(len, self.references.values()), 2)
        files = [f for item in listing.items for f in (item.file, *self._of(item))]
        self.rate_hz = mixing.rate_hz or choose_rate(listing, read_headers(listing.root, files))
        check_share(listing.source, listing.broken, count_named(listing), max_broken)
        facts, unreadable = scan_sounds(
            listing.root, files, self.rate_hz, mixing.max_seconds, progress, kept
        )
        if not self.references:  # silence has no level to be mixed at
            unreadable += [(fact.file, SILENT) for fact in facts if fact.silent]
            facts = [fact for fact in facts if not fact.silent]
        self.broken = listing.broken + unreadable
        check_share(listing.source, self.broken, count_named(listing), max_broken)
        self.facts = {fact.file: fact for fact in facts}
        whole = [item for item in listing.items if self._readable(item)]
        if not whole:
            raise DataError(f"{listing.source}: must contain readable sounds, got none")
        self.listing = replace(listing, items=whole)

    def _of(self, item: Item) -> list[str]:
        return self.references.get(item.file, [])

    def _readable(self, item: Item) -> bool:
        return all(file in self.facts for file in (item.file, *self._of(item)))

    def data(self, listing: Listing, seed: int) -> VoiceData:
        """Put splits, mixers and what was found together."""
        root, source = listing.root.resolve(), self.source
        store = SoundStore(root, self.rate_hz, self.mixing.max_seconds, self.kept)
        splits = {}
        for place, name in enumerate(SPLITS):
            members = sorted((i for i in listing.items if i.split == name), key=lambda i: i.file)
            if members:
                mixer = self._mixer(store, members, name, len(SPLITS) * seed + place)
                splits[name] = VoiceSplit(mixer, range(len(mixer)))
        base = source.resolve() if source.is_dir() else source.resolve().parent
        return VoiceData(
            name=stored_name(source.resolve().stem),
            source=stored_name(source.resolve()),
            root="." if root == base else "..",
            layout=MIXTURES if self.references else SPEAKERS,
            rate_hz=self.rate_hz,
            voices=self.voices,
            seconds=self.mixing.seconds,
            splits=splits,
            scan=self._report(listing),
            seed=seed,
            max_seconds=self.mixing.max_seconds,
            digests={fact.file: fact.digest[:16] for fact in self.facts.values()},
        )

    def _mixer(self, store: SoundStore, members: list[Item], split: str, seed: int) -> Mixer:
        files = [item.file for item in members]
        if self.references:
            return FileMixer(store, files, [self.references[file] for file in files], seed)
        made = min(MAX_MIXTURES, max(TRAIN_MIXTURES, EACH_USED * len(files)))
        return SpeechMixer(
            store,
            files,
            [item.label for item in members],
            count=JUDGED_MIXTURES.get(split, made),
            voices=self.voices,
            level_db=self.mixing.level_db,
            seed=seed,
        )

    def _report(self, listing: Listing) -> ScanReport:
        facts = list(self.facts.values())
        duplicates = find_duplicates((fact.file, fact.digest) for fact in facts)
        splits = {
            file: str(item.split) for item in listing.items for file in (item.file, *self._of(item))
        }
        return ScanReport(
            total=len(facts) + len(self.broken),
            readable=len(facts),
            broken=self.broken,
            renamed=[(fact.file, fact.renamed) for fact in facts if fact.renamed],
            ignored=listing.ignored,
            leaks=pairs_across(_named_in(duplicates, splits), splits),
            modes=_forms(facts),
            sizes={"length in ms": _lengths(facts)},
            per_class=self._counts(listing),
            notes=listing.notes,
            kind=SOUNDS.many,
        )

    def _counts(self, listing: Listing) -> dict[str, dict[str, int]]:
        word = "mixtures" if self.references else "recordings"
        counts = {name: sum(i.split == name for i in listing.items) for name in SPLITS}
        return {name: {word: count} for name, count in counts.items() if count}


def _named_in(duplicates: Sequence[list[str]], splits: dict[str, str]) -> list[list[str]]:
    kept = [[file for file in each if file in splits] for each in duplicates]
    return [each for each in kept if len(each) > 1]


def _forms(facts: Sequence[SoundFacts]) -> dict[str, int]:
    forms: dict[str, int] = {}
    for fact in facts:
        h = fact.header
        form = f"{h.channels} x {h.rate_hz:,} Hz, {h.format} {h.width}"
        forms[form] = forms.get(form, 0) + 1
    return forms


def _lengths(facts: Sequence[SoundFacts]) -> tuple[int, int, int]:
    lengths = sorted(round(1000 * fact.seconds) for fact in facts)
    return lengths[0], round(median(lengths)), lengths[-1]


def _real(source: str | Path) -> Path:
    path = Path(source)
    path = path if path.exists() else Path(true_name(str(source)))
    if not path.exists():
        raise DataError(f"{printable(path)}: no such file or folder")
    return path
