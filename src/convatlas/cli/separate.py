"""The verb `separate`: the voices of recordings, each as a sound file."""

from pathlib import Path

import typer

from convatlas.cli.output import note, print_json, say, table
from convatlas.cli.voice_files import check_free, file_stems
from convatlas.errors import DataError, UsageError
from convatlas.text import printable

TASK = "separate"


def separate_command(
    run: Path = typer.Argument(help="A run folder of the task `separate`.", metavar="RUN"),
    files: list[Path] = typer.Argument(
        help="Sound files of any length, folders (searched to the end) or patterns.",
        metavar="FILES...",
    ),
    out: Path = typer.Option(
        Path("voices"), help="The folder to write the voices to.", metavar="DIR"
    ),
    force: bool = typer.Option(False, "--force", help="Replace voices that are there already."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object on standard output."),
) -> None:
    """Write each voice of recordings as a sound file of its own.

    The files are NAME-voice1.wav, NAME-voice2.wav and so on, at the rate of the run; a background
    that the run tells from voices has its own name, such as NAME-music.wav. A recording
    may last for hours: memory holds a few seconds of it. Unreadable files are named and the rest
    goes on; the exit code is 3 only if no file could be read.
    """
    from convatlas.cli.progress import progress_on_stderr
    from convatlas.data.audio.asked import find_asked
    from convatlas.data.audio.write import voice_paths
    from convatlas.deploy.separate_file import separate_file
    from convatlas.deploy.separator import Separator
    from convatlas.pipeline.run import open_run

    opened = open_run(run)
    predictor = opened.predictor()
    if not isinstance(predictor, Separator):
        raise UsageError(
            f"separate: {printable(run)} is a run of the task {opened.config.task}; the voices of "
            f"recordings come from a run of the task {TASK}"
        )
    progress = progress_on_stderr()
    sounds = [sound for sound in find_asked(files, progress)]
    stems = file_stems([sound.name for sound in sounds])
    if not force:
        check_free([p for stem in stems for p in voice_paths(out, stem, predictor.names)])
    answers, failed = [], 0
    bar = progress.bar("separating", len(sounds), unit="sounds")
    for done, (sound, stem) in enumerate(zip(sounds, stems, strict=True), start=1):
        written, error = [], sound.error
        if error is None:
            try:
                written = separate_file(
                    predictor,
                    sound.value,
                    out,
                    stem=stem,
                    max_seconds=opened.facts["max_seconds"],
                )
            except DataError as problem:
                error = str(problem)
        if error is not None:
            failed += 1
            note(f"warning: {error}")
        answers.append({"file": sound.name, "voices": [str(p) for p in written], "error": error})
        bar.update(done)
    bar.close()
    if failed == len(sounds):
        raise DataError(f"separate: none of the {len(sounds):,} file(s) could be read")
    if as_json:
        print_json({"run": run, "model": opened.config.model, "out": out, "recordings": answers})
        return
    rows = [(printable(a["file"]), printable(each)) for a in answers for each in a["voices"]]
    table(rows, ("file", "voice"))
    say(f"{len(sounds) - failed:,} recordings at {predictor.rate_hz:,} Hz in {printable(out)}")
