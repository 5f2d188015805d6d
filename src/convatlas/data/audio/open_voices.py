"""Opening speech for separation: list, read the headers, scan, divide by speaker."""

from dataclasses import dataclass
from pathlib import Path

from convatlas.data.audio.divide_voices import divided, divided_speech
from convatlas.data.audio.kept_sounds import KeptSounds
from convatlas.data.audio.list_voices import holds_mixtures, list_mixtures, list_speech
from convatlas.data.audio.mixers import FileMixer, SpeechMixer
from convatlas.data.audio.read import MAX_SECONDS
from convatlas.data.audio.scan import Progress, SoundFacts
from convatlas.data.audio.sound_data import SoundStore
from convatlas.data.audio.voice_data import (
    MIXTURES,
    SPEAKERS,
    Mixer,
    VoiceData,
    VoiceFacts,
    VoiceSplit,
)
from convatlas.data.audio.voice_scan import (
    SILENT,
    Reading,
    VoiceScan,
    only_test,
    real_source,
    root_word,
    split_members,
)
from convatlas.data.names import printable, stored_name
from convatlas.data.sources.listing import SPLITS, Item, Listing
from convatlas.errors import DataError

TRAIN_MIXTURES, EACH_USED = 1000, 4  # made for training: at least; each recording about so often
MAX_MIXTURES = 20_000
JUDGED_MIXTURES = {"val": 100, "test": 200}


@dataclass(frozen=True)
class Mixing:
    """How speech is read and mixed, as the user asked.

    Args:
        rate_hz: at which the network hears; the data decide where not given.
        voices: in each mixture; two, or as many as the folders hold, where not given.
        level_db: by which voices differ at most, where they are mixed here.
        seconds: of a training example.
        max_seconds: of one file.
        background: the folder, or the word in the column of speakers, of what is no speaker, such
            as `music`; a piece of it is the last voice of each mixture.
    """

    rate_hz: int | None = None
    voices: int | None = None
    level_db: float = 5.0
    seconds: float = 2.0
    max_seconds: float = MAX_SECONDS
    background: str | None = None


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
    reading = Reading(mixing.rate_hz, mixing.max_seconds, max_broken, progress, kept)
    opening = _Opening(real_source(source), mixing, reading, need_train=True)
    voices, listing = opening.voices, opening.scan.listing
    if opening.references:
        if mixing.background not in (None, last := f"s{voices}"):
            raise DataError(
                f"{listing.source}: the background of mixtures in files must be the last of their "
                f"folders, {last}, got '{printable(mixing.background)}'"
            )
        listing = divided(listing, lambda item: item.file, 1, seed, "mixtures")
    else:
        listing = divided_speech(listing, voices, seed, mixing.background)
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
        facts.rate_hz,
        facts.voices,
        seconds=facts.seconds,
        max_seconds=facts.max_seconds,
        background=facts.background,
    )
    reading = Reading(mixing.rate_hz, mixing.max_seconds, max_broken, progress)
    opening = _Opening(real_source(source), mixing, reading, need_train=False)
    listing = only_test(opening.scan.listing)
    if not opening.references:
        _check_speakers(listing, facts)
    return opening.data(listing, 0)


def _check_speakers(listing: Listing, facts: VoiceFacts) -> None:
    speakers = {item.label for item in listing.items}
    if facts.background is not None and facts.background not in speakers:
        raise DataError(
            f"{listing.source}: must have recordings of the background "
            f"'{printable(facts.background)}', got none"
        )
    talking = speakers - {facts.background}
    least = facts.voices - (facts.background is not None)
    if len(talking) < least:
        raise DataError(
            f"{listing.source}: must have {least} speakers or more to mix, got {len(talking)}"
        )


class _Opening:
    """A source whose files have been listed and decoded."""

    def __init__(self, source: Path, mixing: Mixing, reading: Reading, *, need_train: bool):
        self.source, self.mixing, self.reading = source, mixing, reading
        self.references: dict[str, list[str]] = {}
        if holds_mixtures(source):
            found = list_mixtures(source, mixing.voices)
            listing, self.references = found.listing, found.references
        else:
            listing = list_speech(source, need_train=need_train)
        self.voices = mixing.voices or max(2, *map(len, self.references.values()), 2)
        self.scan = VoiceScan(listing, self._of, self._fault, reading)

    def _of(self, item: Item) -> list[str]:
        return self.references.get(item.file, [])

    def _fault(self, fact: SoundFacts) -> str:
        """Silence has no level to be mixed at."""
        return SILENT if fact.silent and not self.references else ""

    def data(self, listing: Listing, seed: int) -> VoiceData:
        """Put splits, mixers and what was found together."""
        source, scan = self.source, self.scan
        store = SoundStore(
            listing.root.resolve(), scan.rate_hz, self.mixing.max_seconds, self.reading.kept
        )
        splits = {}
        for name, members in split_members(listing).items():
            seed_here = len(SPLITS) * seed + SPLITS.index(name)
            mixer = self._mixer(store, members, name, seed_here)
            splits[name] = VoiceSplit(mixer, range(len(mixer)))
        return VoiceData(
            name=stored_name(source.resolve().stem),
            source=stored_name(source.resolve()),
            root=root_word(source, listing.root),
            layout=MIXTURES if self.references else SPEAKERS,
            rate_hz=scan.rate_hz,
            voices=self.voices,
            seconds=self.mixing.seconds,
            splits=splits,
            scan=scan.report(listing, "mixtures" if self.references else "recordings"),
            seed=seed,
            max_seconds=self.mixing.max_seconds,
            background=self.mixing.background,
            digests=scan.digests,
        )

    def _mixer(self, store: SoundStore, members: list[Item], split: str, seed: int) -> Mixer:
        files = [item.file for item in members]
        if self.references:
            return FileMixer(store, files, [self.references[file] for file in files], seed)
        return SpeechMixer(
            store,
            files,
            [item.label for item in members],
            count=mixtures_of(split, len(files)),
            voices=self.voices,
            level_db=self.mixing.level_db,
            seed=seed,
            background=self.mixing.background,
        )


def mixtures_of(split: str, recordings: int) -> int:
    """Return how many mixtures of a split's recordings are made."""
    made = min(MAX_MIXTURES, max(TRAIN_MIXTURES, EACH_USED * recordings))
    return JUDGED_MIXTURES.get(split, made)
