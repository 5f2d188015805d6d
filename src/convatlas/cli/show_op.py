"""`convatlas show-op`: one kind of convolution, its sizes, cost and connectivity."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from convatlas.cli.options import parse_pairs
from convatlas.cli.output import print_json, say, table
from convatlas.errors import UsageError
from convatlas.text import shape_text

if TYPE_CHECKING:
    from convatlas.ops.catalog.connectivity import Connectivity
    from convatlas.ops.catalog.find import Kind
    from convatlas.ops.catalog.op_spec import OpSpec

NUMBERS = ("weights", "multiply-adds")


class Picture(NamedTuple):
    """What is drawn: the options, small enough to see, the whole operator and its steps."""

    options: Mapping[str, Any]
    whole: "Connectivity"
    steps: "Sequence[Connectivity]"


def show_op_command(
    kind: str | None = typer.Argument(
        None, help="A kind of convolution; leave it out for a list.", metavar="[KIND]"
    ),
    options: list[str] | None = typer.Argument(
        None, help="Its settings, e.g. in_channels=16 kernel=5 size=32.", metavar="[key=value]..."
    ),
    svg: Path | None = typer.Option(None, "--svg", help="Write the picture to this file as SVG."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object instead of text."),
) -> None:
    """Show one kind of convolution: its cost and its connectivity.

    The picture is taken from the operator's own derivatives.
    """
    from convatlas.ops.catalog.find import find_kind

    if kind is None:
        _list(as_json)
        return
    found = find_kind(kind)
    form = "of the form key=value"
    given = parse_pairs(options or (), found.name, found.options, form)
    chosen = dict(found.options) | given
    spec = found.spec(**chosen)
    picture = _trace(found, chosen, spec)
    if svg is not None:
        _write(svg, picture, found.name)
    if as_json:
        print_json(_as_json(found, chosen, spec, picture, svg))
    else:
        _print(found, chosen, spec, picture, svg)


def _list(as_json: bool) -> None:
    from convatlas.ops.catalog.find import KINDS

    if as_json:
        print_json({"kinds": [_kind(kind) for kind in KINDS.values()]})
        return
    table([(kind.name, kind.about) for kind in KINDS.values()], ("kind", "about"))
    say()
    say("To see one of them: convatlas show-op KIND key=value ...")


def _kind(kind: "Kind") -> dict[str, Any]:
    return {"kind": kind.name, "about": kind.about, "options": dict(kind.options)}


def _trace(kind: "Kind", chosen: Mapping[str, Any], spec: "OpSpec") -> Picture:
    from convatlas.ops.catalog.connectivity import trace_connectivity, trace_steps
    from convatlas.ops.catalog.picture_size import picture_options

    drawn = picture_options(chosen, axes=len(spec.input) - 1)
    small = kind.spec(**drawn)
    module = small.build()
    return Picture(drawn, trace_connectivity(module, small.input), trace_steps(module, small.input))


def _write(path: Path, picture: Picture, name: str) -> None:
    from convatlas.ops.catalog.draw_svg import svg_text

    title = name.replace("_", " ")
    text = svg_text(picture.whole, title, _pairs(picture.options), picture.steps)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(f"--svg: cannot write {path}: {error.strerror}") from error


def _pairs(options: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={_value(value)}" for key, value in options.items())


def _value(value: Any) -> str:
    return shape_text(value) if isinstance(value, tuple) else str(value)


def _as_json(
    kind: "Kind",
    chosen: Mapping[str, Any],
    spec: "OpSpec",
    picture: Picture,
    svg: Path | None,
) -> dict[str, Any]:
    return {
        "kind": kind.name,
        "about": kind.about,
        "options": chosen,
        "input": spec.input,
        "output": spec.output,
        "params": spec.count.params,
        "macs": spec.count.macs,
        "ordinary": {"params": spec.ordinary.params, "macs": spec.ordinary.macs},
        "ratio": {"params": spec.params_ratio, "macs": spec.macs_ratio},
        "picture": {
            "options": picture.options,
            **_matrices(picture.whole),
            "steps": [_matrices(step) for step in picture.steps],
        },
        "files": {} if svg is None else {"svg": svg},
    }


def _matrices(connectivity: "Connectivity") -> dict[str, Any]:
    """Rows are outputs, columns inputs; 1 where an output depends on an input."""
    return {
        "positions": connectivity.places.int().tolist(),
        "channels": connectivity.channels.int().tolist(),
    }


def _print(
    kind: "Kind",
    chosen: Mapping[str, Any],
    spec: "OpSpec",
    picture: Picture,
    svg: Path | None,
) -> None:
    from convatlas.ops.catalog.draw_text import text_lines

    say(f"{kind.name}: {kind.about}")
    say(_pairs(chosen))
    say(f"input {_value(spec.input)} -> output {_value(spec.output)}")
    say()
    rows = [
        (kind.name, f"{spec.count.params:,}", f"{spec.count.macs:,}"),
        ("ordinary", f"{spec.ordinary.params:,}", f"{spec.ordinary.macs:,}"),
        ("ratio", f"{spec.params_ratio:.4g}", f"{spec.macs_ratio:.4g}"),
    ]
    table(rows, ("", *NUMBERS), right=NUMBERS)
    say()
    smaller = {key: value for key, value in picture.options.items() if value != chosen[key]}
    if smaller:
        say(f"drawn smaller, with {_pairs(smaller)}")
    for line in text_lines(picture.whole, picture.steps):
        say(line)
    if svg is not None:
        say()
        say(f"picture: {svg}")
