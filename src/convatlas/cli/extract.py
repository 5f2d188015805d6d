"""The verb `extract`: the voice of one speaker out of recordings, each as a sound file."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from convatlas.cli.output import note, print_json, say, table
from convatlas.cli.voice_files import check_free, file_stems
from convatlas.errors import DataError, UsageError
from convatlas.text import printable

if TYPE_CHECKING:
    from torch import Tensor

    from convatlas.deploy.extractor import Extractor
    from convatlas.pipeline.run import Run

TASK = "extract"


def extract_command(
    run: Path = typer.Argument(help="A run folder of the task `extract`.", metavar="RUN"),
    files: list[Path] = typer.Argument(
        help="Sound files of any length, folders (searched to the end) or patterns.",
        metavar="FILES...",
    ),
    speaker: Path = typer.Option(
        ...,
        help="A recording of the wanted speaker alone, half a second or more; the speaker's vector "
        "(.npy, .npz[NAME]) where the run was trained with vectors.",
        metavar="CLIP",
    ),
    out: Path = typer.Option(
        Path("voices"), help="The folder to write the voices to.", metavar="DIR"
    ),
    force: bool = typer.Option(False, "--force", help="Replace voices that are there already."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object on standard output."),
) -> None:
    """Write the voice of one speaker, told by a clip, as a sound file.

    Each recording gives a file NAME-CLIP.wav, at the rate of the run. A recording may last for
    hours: memory holds a few seconds of it. Unreadable files are named and the rest goes on; the
    exit code is 3 only if no file, or not the clip, could be read.
    """
    from convatlas.cli.progress import progress_on_stderr
    from convatlas.data.audio.asked import find_asked
    from convatlas.deploy.extract_file import extract_file
    from convatlas.explain.signals.extracted import speaker_stem
    from convatlas.pipeline.run import open_run

    opened = open_run(run)
    predictor = _extractor(opened, run)
    limit, rate = opened.facts["max_seconds"], predictor.rate_hz
    clip = _told(opened.facts, speaker, rate)
    progress = progress_on_stderr()
    sounds = list(find_asked(files, progress))
    stems = file_stems([sound.name for sound in sounds])
    targets = [out / f"{stem}-{speaker_stem(str(speaker))}.wav" for stem in stems]
    if not force:
        check_free(targets)
    answers, failed = [], 0
    bar = progress.bar("extracting", len(sounds), unit="sounds")
    for done, (sound, target) in enumerate(zip(sounds, targets, strict=True), start=1):
        error = sound.error
        if error is None:
            try:
                extract_file(predictor, sound.value, clip, target, max_seconds=limit)
            except DataError as problem:
                error = str(problem)
        if error is not None:
            failed += 1
            note(f"warning: {error}")
        voice = str(target) if error is None else None
        answers.append({"file": sound.name, "voice": voice, "error": error})
        bar.update(done)
    bar.close()
    if failed == len(sounds):
        raise DataError(f"extract: none of the {len(sounds):,} file(s) could be read")
    if as_json:
        head = {"run": run, "model": opened.config.model, "speaker": speaker, "out": out}
        print_json(head | {"recordings": answers})
        return
    table(
        [(printable(a["file"]), printable(a["voice"])) for a in answers if a["voice"]],
        ("file", "voice"),
    )
    say(f"{len(sounds) - failed:,} recordings at {rate:,} Hz in {printable(out)}")


def _told(facts: Mapping[str, Any], speaker: Path, rate_hz: int) -> "Tensor":
    """Read what tells the speaker: a clip, or a vector."""
    from convatlas.data.audio.enrolment_clip import check_clip
    from convatlas.data.audio.read import read_sound
    from convatlas.data.audio.speaker_vector import names_vector, read_vector

    features = facts.get("speaker_features")
    if features is None and names_vector(str(speaker)):
        raise UsageError(
            f"--speaker {printable(speaker)}: this run is told the speaker by a clip, a sound "
            "file; for vectors train with a list that has a column vector"
        )
    if features is not None and not names_vector(str(speaker)):
        raise UsageError(
            f"--speaker {printable(speaker)}: this run is told the speaker by a vector of "
            f"{features:,} numbers, as .npy or .npz[NAME]"
        )
    if features is not None:
        return read_vector(str(speaker), features=features)
    clip = read_sound(speaker, rate_hz, max_seconds=facts["max_seconds"])
    return check_clip(clip, rate_hz, str(speaker))


def _extractor(opened: "Run", run: Path) -> "Extractor":
    from convatlas.deploy.extractor import Extractor

    predictor = opened.predictor()
    if not isinstance(predictor, Extractor):
        raise UsageError(
            f"extract: {printable(run)} is a run of the task {opened.config.task}; the voice of "
            f"one speaker comes from a run of the task {TASK}"
        )
    return predictor
