"""Texts drawn from a language model, for the verb `sample`."""

from typing import TYPE_CHECKING

from convatlas.cli.output import note, print_json, say
from convatlas.errors import UsageError

if TYPE_CHECKING:
    from convatlas.deploy.language_model import LanguageModel
    from convatlas.pipeline.run import Run


def sample_texts(
    opened: "Run",
    model: "LanguageModel",
    *,
    count: int,
    start: str,
    length: int,
    temperature: float,
    seed: int,
    as_json: bool,
) -> None:
    """Print texts, a line each, that begin as they are told to.

    Raises:
        UsageError: the network cannot write, or does not know the beginning.
    """
    if not model.writes:
        raise UsageError(f"sample: {opened.config.model} has no `step`, so it cannot write")
    unknown = model.vocabulary.unknown(start)
    if unknown:
        raise UsageError(f"--start: the network does not know {' '.join(unknown)}")
    found = model.write([start] * count, length, temperature=temperature, seed=seed)
    texts = [start + more for more in found]
    if as_json:
        about = {"run": opened.path, "model": opened.config.model, "task": opened.config.task}
        print_json({**about, "seed": seed, "temperature": temperature, "texts": texts})
        return
    for text in texts:
        say(text)
    for doubt in opened.doubts:
        note(f"warning: {doubt}")
