"""The verb `export`: a deployable file with the proof that it answers as the network does."""

from pathlib import Path

import typer

from convatlas.cli.output import print_json, say
from convatlas.cli.run_options import moved_data
from convatlas.text import format_number


def export_command(
    run: Path = typer.Argument(help="A run folder.", metavar="RUN"),
    format: str = typer.Option("onnx", "--format", help="File format: onnx."),
    out: Path | None = typer.Option(
        None, "--out", help="Where to write it; into the run folder if not given.", metavar="FILE"
    ),
    data: Path | None = moved_data(),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object on standard output."),
) -> None:
    """Write a deployable file and check that it agrees with the network."""
    from convatlas.pipeline.run import open_run

    opened = open_run(run)
    path, parity = opened.export(format, out, source=data)
    size = path.stat().st_size
    if as_json:
        answer = {"run": run, "model": opened.config.model, "files": {format: path}}
        print_json({**answer, "file_bytes": size, "proof": parity.model_dump()})
        return
    say(f"{path} ({format_number(size, 'bytes')})")
    say(f"ONNX agrees with the network: {parity.figures()}")
    say(opened.predictor().usage)
