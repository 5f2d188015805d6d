"""Two networks against each other: one makes images, the other tells them from real ones.

A loop of its own beside `loop.py`, because a step is two: two losses, two optimizers, and no figure
of a validation split that says which weights to keep.

Source: Goodfellow et al., "Generative Adversarial Nets", NIPS 2014, arXiv:1406.2661, algorithm 1
    and the generator's loss that does not vanish (section 3); settings of Radford, Metz, Chintala,
    ICLR 2016, arXiv:1511.06434, section 4.
"""

import copy
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from convatlas.errors import DataError
from convatlas.progress import Bar, Progress, Silent
from convatlas.replacing import cannot_write
from convatlas.train.adversarial_recipe import AdversarialRecipe
from convatlas.train.adversarial_steps import AdversarialSteps, draw_noise
from convatlas.train.adversarial_watch import AdversarialWatch
from convatlas.train.log import RunLog
from convatlas.train.stop import StopRequest
from convatlas.train.weights import save_weights

WEIGHTS = "generator.safetensors"
STEPS_BETWEEN_LOOKS = 50


@dataclass
class AdversarialTrained:
    """How a run went. `ended` is `epochs`, `time`, `interrupted` or `diverged`.

    `figures` are those of the last look: both losses, the discriminator's `accuracy` on real and
    drawn images since the look before, and `diversity` of drawn images relative to real ones.
    """

    ended: str = "epochs"
    steps: int = 0
    epochs: float = 0.0
    seconds: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def train_adversarial(
    generator: nn.Module,
    discriminator: nn.Module,
    images: Tensor,
    recipe: AdversarialRecipe | None = None,
    *,
    folder: Path | None = None,
    limit_s: float | None = None,
    stop: StopRequest | None = None,
    progress: Progress | None = None,
) -> AdversarialTrained:
    """Train both networks in place; the generator ends in evaluation mode, ready to draw.

    Its running statistics are measured anew at the end. A loss that is no finite number ends the
    run, and the generator is that of the last look, at most 50 steps before.

    Args:
        generator: makes images from -1 to 1 of `generator.latent` random numbers.
        discriminator: answers with one logit an image.
        images: uint8, of the size and colours that the networks have.
        recipe: DCGAN's if not given.
        folder: gets `generator.safetensors` at the end, and the figures of each look as `log.csv`
            and `log.jsonl`.
        limit_s: wall-clock limit in seconds.
        stop: asked after every step.
        progress: shows how both stand, and says what goes wrong.

    Shape: images (count, c, h, w)

    Raises:
        DataError: images of another form, or fewer than a batch.
        WriteError: the folder cannot be written to.
    """
    recipe, progress = recipe or AdversarialRecipe(), progress or Silent()
    check_images(generator, images, recipe.batch_size)
    if folder is not None:
        _make(folder)
    steps = AdversarialSteps(generator, discriminator, images, recipe)
    bar, log = progress.bar("training", total=1.0), RunLog(folder)
    try:
        result = _train(steps, recipe, limit_s, stop, progress, bar, log)
        steps.finish()
    finally:
        steps.put_back()
        bar.close()
        log.close()
    if folder is not None:
        save_weights(generator, folder / WEIGHTS, metadata={"steps": str(result.steps)})
    return result


def _train(
    steps: AdversarialSteps,
    recipe: AdversarialRecipe,
    limit_s: float | None,
    stop: StopRequest | None,
    progress: Progress,
    bar: Bar,
    log: RunLog,
) -> AdversarialTrained:
    result, watch, start = AdversarialTrained(), AdversarialWatch(), time.perf_counter()
    total = max(1, round(recipe.epochs * steps.epoch_steps))
    for real in steps.batches():
        steps.step(real)
        result.steps += 1
        result.seconds = time.perf_counter() - start
        ends = {
            "interrupted": stop is not None and stop.requested,
            "time": limit_s is not None and result.seconds >= limit_s,
            "epochs": result.steps == total,
        }
        if any(ends.values()) or result.steps % STEPS_BETWEEN_LOOKS == 0:
            figures = steps.look()
            if not all(map(math.isfinite, figures.values())):
                result.ended = "diverged"
                break
            result.figures = figures
            for warning in watch.look(result.steps, figures["accuracy"], figures["diversity"]):
                progress.say(warning)
            log.write(step=result.steps, seconds=round(result.seconds, 3), **figures)
            bar.update(min(1.0, result.steps / total), note=_note(figures))
        if any(ends.values()):
            result.ended = next(reason for reason in reversed(ends) if ends[reason])
            break
    result.epochs, result.warnings = result.steps / steps.epoch_steps, watch.warnings
    return result


def check_images(generator: nn.Module, images: Tensor, batch_size: int) -> None:
    """Refuse images that the generator could not have made.

    Raises:
        DataError: says what is expected.
    """
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise DataError(
            f"images must be uint8 (count, c, h, w), got {images.dtype}, {tuple(images.shape)}"
        )
    if len(images) < batch_size:
        raise DataError(
            f"there must be {batch_size:,} images or more, a batch; got {len(images):,}"
        )
    weight = next(generator.parameters())
    with torch.no_grad():
        noise = draw_noise(generator, 1, torch.Generator()).to(weight)
        made = copy.deepcopy(generator).eval()(noise)
    if made.shape[1:] != images.shape[1:]:
        raise DataError(
            f"images must be {tuple(made.shape[1:])} as the generator makes them, got "
            f"{tuple(images.shape[1:])}"
        )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error


def _note(figures: dict[str, float]) -> str:
    return (
        f"discriminator right {figures['accuracy']:.1%}, losses "
        f"{figures['discriminator_loss']:.2f} and {figures['generator_loss']:.2f}, diversity "
        f"{figures['diversity']:.0%}"
    )
