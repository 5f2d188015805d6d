"""Opening speech for the extraction of one voice: list, scan, divide by speaker."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from convatlas.data.audio.divide_voices import divided
from convatlas.data.audio.enrolled_mixers import EnrolledMixer, EnrolledSpeech
from convatlas.data.audio.enrolment_clip import MIN_CLIP_SECONDS
from convatlas.data.audio.extraction_data import (
    LISTED,
    VECTOR,
    ExtractionData,
    ExtractionFacts,
    ExtractionSplit,
    Speaker,
)
from convatlas.data.audio.kept_sounds import KeptSounds
from convatlas.data.audio.list_extraction import (
    ListedMixtures,
    holds_extraction_list,
    list_extraction,
)
from convatlas.data.audio.list_voices import list_speech
from convatlas.data.audio.listed_voices import ListedRow, ListedVectors, ListedVoices
from convatlas.data.audio.open_voices import mixtures_of
from convatlas.data.audio.read import MAX_SECONDS
from convatlas.data.audio.scan import Progress, SoundFacts
from convatlas.data.audio.sound_data import SoundStore
from convatlas.data.audio.voice_data import SPEAKERS
from convatlas.data.audio.voice_scan import (
    SILENT,
    Reading,
    VoiceScan,
    only_test,
    real_source,
    root_word,
    split_members,
)
from convatlas.data.names import printable, printable_few, stored_name
from convatlas.data.sources.listing import SPLITS, Item, Listing
from convatlas.errors import DataError

LAYOUTS = (
    "a folder SPEAKER/files of clean speech, two recordings of a speaker or more, which is mixed",
    "a CSV file with a column of clean speech and one of speakers",
    "a CSV file with the columns mixture, target and enrolment, or vector",
)
SHARING = "sets of mixtures that share no file"


@dataclass(frozen=True)
class Enrolling:
    """How speech is read, mixed and told, as the user asked.

    Args:
        rate_hz: at which the network hears; the data decide where not given.
        voices: in each mixture that is made here.
        level_db: by which voices differ at most, where they are mixed here.
        seconds: of a training example.
        clip_seconds: of its clip.
        speaker: what a clip becomes in the network, or `vector`; a trained embedding where not
            given, or what the list has.
        speaker_features: numbers of a vector; as many as most have where not given.
        single: what is done with speakers of a single recording: they are never wanted (`leave`),
            or it is cut in two (`halve`).
        max_seconds: of one file.
    """

    rate_hz: int | None = None
    voices: int = 2
    level_db: float = 5.0
    seconds: float = 2.0
    clip_seconds: float = 3.0
    speaker: Speaker | None = None
    single: Literal["leave", "halve"] = "leave"
    max_seconds: float = MAX_SECONDS
    speaker_features: int | None = None


def open_extraction(
    source: str | Path,
    *,
    seed: int = 0,
    max_broken: float = 0.05,
    enrolling: Enrolling | None = None,
    progress: Progress | None = None,
    kept: KeptSounds | None = None,
) -> ExtractionData:
    """Open speech for training: every file is decoded once, and what is wrong is named.

    Splits that the source states are kept; else speakers (or rows of a list that share a file) are
    divided, so that no speaker of the test is heard in training.

    Args:
        source: in a layout of `LAYOUTS`.
        max_broken: share of the files that may be broken; they are skipped.
        progress: called with the files done and their total.
        kept: takes what is decoded, so that it need not be decoded again.

    Raises:
        DataError: the data cannot be used; names the file, line or folder and a way out.
    """
    enrolling = enrolling or Enrolling()
    reading = Reading(enrolling.rate_hz, enrolling.max_seconds, max_broken, progress, kept)
    opening = _Opening(real_source(source), enrolling, reading, need_train=True)
    listing, listed = opening.scan.listing, opening.listed
    if listed is not None:
        listing = divided(listing, lambda item: listed.groups[item.label], 1, seed, SHARING)
    else:
        listing = divided(listing, lambda item: item.label, enrolling.voices, seed, "speakers")
    return opening.data(listing, seed)


def open_extraction_test(
    source: str | Path,
    facts: ExtractionFacts,
    *,
    max_broken: float = 0.05,
    progress: Progress | None = None,
) -> ExtractionData:
    """Open speech to evaluate a run on: one split, `test`; only that where the source states one.

    Raises:
        DataError: the data cannot be used.
    """
    enrolling = Enrolling(**{key: each for key, each in facts.model_dump().items()})
    reading = Reading(facts.rate_hz, facts.max_seconds, max_broken, progress)
    opening = _Opening(real_source(source), enrolling, reading, need_train=False)
    listing = only_test(opening.scan.listing)
    speakers = {item.label for item in listing.items}
    if opening.listed is None and len(speakers) < facts.voices:
        raise DataError(
            f"{listing.source}: must have {facts.voices} speakers or more to mix, got "
            f"{len(speakers)}"
        )
    return opening.data(listing, 0)


class _Opening:
    """A source whose files have been listed and decoded."""

    def __init__(self, source: Path, enrolling: Enrolling, reading: Reading, *, need_train: bool):
        self.source, self.enrolling, self.reading = source, enrolling, reading
        self.listed: ListedMixtures | None = None
        if holds_extraction_list(source):
            self.listed = list_extraction(
                source,
                need_train=need_train,
                speaker=enrolling.speaker,
                features=enrolling.speaker_features,
            )
            listing = self.listed.listing
            self._heard = {row.target for row in self.listed.rows.values()}
            self._clips = {each for row in self.listed.rows.values() for each in self._told(row)}
        elif enrolling.speaker == VECTOR:
            raise DataError(
                f"{printable(source)}: must be a CSV file with the columns mixture, target and "
                "vector, where vectors tell the speaker"
            )
        else:
            listing = list_speech(source, need_train=need_train)
            self._heard = self._clips = {item.file for item in listing.items}
        self.scan = VoiceScan(listing, self._of, self._fault, reading)

    def _of(self, item: Item) -> Sequence[str]:
        if self.listed is None:
            return ()
        row = self.listed.rows[item.label]
        return row.target, *self._told(row)

    def _told(self, row: ListedRow) -> Sequence[str]:
        """The clip of a row, if the speaker is told by one."""
        by_clip = self.listed is None or self.listed.features is None
        return (row.enrolment,) if by_clip else ()

    def _fault(self, fact: SoundFacts) -> str:
        """A silent voice has no level, and a short clip tells too little."""
        if fact.silent and fact.file in self._heard | self._clips:
            return SILENT
        if fact.file in self._clips and fact.seconds < MIN_CLIP_SECONDS:
            return f"lasts {fact.seconds:.2f} s, and a clip {MIN_CLIP_SECONDS:g} s or more"
        return ""

    def data(self, listing: Listing, seed: int) -> ExtractionData:
        """Put splits, mixers and what was found together."""
        source, scan, asked = self.source, self.scan, self.enrolling
        store = SoundStore(
            listing.root.resolve(), scan.rate_hz, asked.max_seconds, self.reading.kept
        )
        self._note_single(listing)
        splits = {}
        for name, members in split_members(listing).items():
            seed_here = len(SPLITS) * seed + SPLITS.index(name)
            mixer = self._mixer(store, listing, members, name, seed_here)
            splits[name] = ExtractionSplit(mixer, range(len(mixer)))
        return ExtractionData(
            name=stored_name(source.resolve().stem),
            source=stored_name(source.resolve()),
            root=root_word(source, listing.root),
            layout=SPEAKERS if self.listed is None else LISTED,
            rate_hz=scan.rate_hz,
            voices=asked.voices,
            seconds=asked.seconds,
            clip_seconds=asked.clip_seconds,
            speaker=self._speaker,
            speaker_features=None if self.listed is None else self.listed.features,
            splits=splits,
            scan=scan.report(listing, "recordings" if self.listed is None else "mixtures"),
            seed=seed,
            max_seconds=asked.max_seconds,
            digests=scan.digests,
        )

    @property
    def _speaker(self) -> Speaker:
        if self.listed is not None and self.listed.features is not None:
            return VECTOR
        return self.enrolling.speaker or "trained"

    def _mixer(
        self, store: SoundStore, listing: Listing, members: list[Item], split: str, seed: int
    ) -> EnrolledMixer:
        if self.listed is not None:
            made = ListedVoices if self.listed.features is None else ListedVectors
            return made(store, [self.listed.rows[item.label] for item in members], seed)
        halved = self._halved(members)
        if len(halved) < 1 and not _several(members):
            raise DataError(
                f"{listing.source}: some speaker of {split} must have two recordings or more, one "
                "to mix and one to tell the speaker by; --set single=halve cuts the only one of "
                "a speaker in two"
            )
        return EnrolledSpeech(
            store,
            [item.file for item in members],
            [item.label for item in members],
            count=mixtures_of(split, len(members)),
            voices=self.enrolling.voices,
            level_db=self.enrolling.level_db,
            seed=seed,
            clip_seconds=self.enrolling.clip_seconds,
            halved=halved,
        )

    def _halved(self, members: Sequence[Item]) -> list[str]:
        """Speakers whose only recording is cut in two: each half as long as a clip must be."""
        if self.enrolling.single != "halve":
            return []
        long = {f.file for f in self.scan.facts.values() if f.seconds >= 2 * MIN_CLIP_SECONDS}
        return [item.label for item in _singles(members) if item.file in long]

    def _note_single(self, listing: Listing) -> None:
        if self.listed is not None:
            return
        single = [item for item in _singles(listing.items)]
        halved = set(self._halved(listing.items))
        left = sorted(item.label for item in single if item.label not in halved)
        if left:
            listing.notes.append(
                f"never the wanted voice, as there is a single recording of them ({len(left):,}): "
                f"{printable_few(left)}" + ("" if halved else "; --set single=halve cuts it in two")
            )
        if halved:
            listing.notes.append(
                f"the only recording of {len(halved):,} speakers is cut in two: one half is mixed, "
                "the other one tells the speaker"
            )


def _singles(members: Sequence[Item]) -> list[Item]:
    counts: dict[str, int] = {}
    for item in members:
        counts[item.label] = counts.get(item.label, 0) + 1
    return [item for item in members if counts[item.label] == 1]


def _several(members: Sequence[Item]) -> bool:
    return len(_singles(members)) < len({item.label for item in members})
