"""The verb `fit`: data and a budget in, the best network that fits out."""

from pathlib import Path

import typer

from convatlas.cli.fit_result import end_with
from convatlas.cli.numbers import bytes_option, count_option, seconds_option
from convatlas.cli.training_options import class_weight_values, given_once, recipe_options

DATA_HELP = (
    "`digits` (embedded), or a folder or file in a layout of the task. Images or sounds with "
    "classes: a folder CLASS/files, a folder with train/ val/ test/, or a CSV file with a column "
    "of files and one of classes, such as file_name,label."
)


def fit_command(
    data: str = typer.Argument(help=DATA_HELP, metavar="DATA"),
    max_params: float | None = count_option(
        "--max-params", help="Maximum number of parameters, e.g. 1M."
    ),
    max_macs: float | None = count_option(
        "--max-macs", help="Maximum number of multiply-adds per image, e.g. 50M."
    ),
    max_latency: float | None = seconds_option(
        "--max-latency", help="Maximum time for one image on this machine, e.g. 10ms."
    ),
    max_size: float | None = bytes_option(
        "--max-size", help="Maximum size of the exported file, e.g. 2MB."
    ),
    max_memory: float | None = bytes_option(
        "--max-memory", help="Maximum memory while one input runs, weights included, e.g. 16MB."
    ),
    min_throughput: float | None = count_option(
        "--min-throughput",
        help="Minimum number of inputs a second on this machine's CPU, in batches, e.g. 200.",
    ),
    task: str | None = typer.Option(
        None, help="What the network is for; found from the data if not given.", metavar="TASK"
    ),
    model: str | None = typer.Option(None, help="Try only this network.", metavar="NAME"),
    pretrained: str = typer.Option(
        "auto",
        "--pretrained",
        help="Start from public weights. auto: for photographs, if weights that fit are on this "
        "machine. yes: those of --model NAME, downloaded if needed, or of every network whose "
        "weights are on this machine. no: fresh weights.",
        metavar="auto|yes|no",
    ),
    time_limit: float | None = seconds_option(
        "--time-limit",
        help="Approximate time limit for the whole job, e.g. 2m; 10m if neither it nor --epochs is "
        "given.",
    ),
    epochs: float | None = typer.Option(
        None,
        help="Passes over the training data for the chosen network; without --time-limit the "
        "result can be repeated exactly.",
        metavar="N",
    ),
    max_trials: int | None = typer.Option(
        None, "--max-trials", help="Maximum number of networks that are trained.", metavar="N"
    ),
    metric: str | None = typer.Option(
        None,
        help="What decides between networks, of those that the task offers; for images with "
        "classes: accuracy (default) or balanced_accuracy.",
        metavar="NAME",
    ),
    class_weights: str | None = typer.Option(
        None,
        "--class-weights",
        help="How much each class counts in the loss: none, balanced (each the same in all), or a "
        "number for each class.",
        metavar="none|balanced|A,B,...",
    ),
    device: str = typer.Option(
        "auto",
        "--device",
        help="Where networks are trained; auto: a GPU if there is one. cuda:1 is the second GPU.",
        metavar="auto|cpu|cuda[:N]|mps",
    ),
    batch: int | None = typer.Option(
        None, "--batch", help="Examples a training step; the data decide if not given.", metavar="N"
    ),
    learning_rate: float | None = typer.Option(
        None, "--learning-rate", help="Highest learning rate; 0.004 if not given.", metavar="X"
    ),
    precision: str | None = typer.Option(
        None,
        "--precision",
        help="Numbers that training computes with: no (float32, default), bf16, fp16 (GPU only), "
        "or auto, the shorter ones on a GPU that has units for them.",
        metavar="no|bf16|fp16|auto",
    ),
    freeze: str | None = typer.Option(
        None,
        "--freeze",
        help="Part of the public weights that stays as it is: the first N stages, everything up "
        "to a part such as stages.2, or all but the last layer.",
        metavar="N|PART|all-but-head",
    ),
    recipe: list[str] = typer.Option(
        [],
        "--recipe",
        help="Another option of training, such as weight_decay=0.05; may be repeated.",
        metavar="NAME=VALUE",
    ),
    folds: int | None = typer.Option(
        None,
        "--folds",
        help="Validate the chosen network by N folds, training it anew for each in a share of the "
        "time limit; heads on frozen features are all validated so.",
        metavar="N",
    ),
    workers: int | None = typer.Option(
        None,
        "--workers",
        help="Threads that read, decode and resize files; one for each core, at most 8, if not "
        "given.",
        metavar="N",
    ),
    out: Path | None = typer.Option(None, help="The folder to write the run to.", metavar="DIR"),
    seed: int = typer.Option(0, help="Random seed for split, weights and augmentation."),
    max_broken: float = typer.Option(
        0.05, help="Maximum fraction of unreadable files to skip; with more the job stops."
    ),
    max_pixels: float | None = count_option(
        "--max-pixels", help="Maximum number of pixels in one image; 64M if not given."
    ),
    value_range: tuple[float, float] | None = typer.Option(
        None,
        "--value-range",
        help="Values of black and white in files with more than 8 bits, e.g. 0 4095.",
        metavar="LOW HIGH",
    ),
    settings: list[str] = typer.Option(
        [],
        "--set",
        help="Another option of the task; may be repeated.",
        metavar="NAME=VALUE",
    ),
    save_front: bool = typer.Option(
        False,
        "--save-front",
        help="Also keep the networks that no other beats in metric, macs and params, as runs in "
        "DIR/front/.",
    ),
    force: bool = typer.Option(False, "--force", help="Replace the run that is in DIR."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object on standard output."),
) -> None:
    """Find and train the best network that fits a budget."""
    from convatlas.cli.main import STARTED
    from convatlas.cli.progress import Clock, progress_on_stderr
    from convatlas.pipeline.fit import fit
    from convatlas.pipeline.run_fit import USUAL_LIMIT_S
    from convatlas.search.budget import Budget

    budget = Budget(
        params=max_params,
        macs=max_macs,
        latency_s=max_latency,
        file_bytes=max_size,
        memory_bytes=max_memory,
        throughput=min_throughput,
    )
    limit = USUAL_LIMIT_S if time_limit is None and epochs is None else time_limit
    run = fit(
        data,
        budget=budget,
        task=task,
        model=model,
        pretrained=pretrained,
        time_limit_s=time_limit,
        epochs=epochs,
        max_trials=max_trials,
        recipe=recipe_options(recipe, batch, learning_rate, precision, freeze),
        device=device,
        workers=workers,
        folds=folds,
        out=out,
        seed=seed,
        force=force,
        save_front=save_front,
        max_broken=max_broken,
        progress=progress_on_stderr(Clock(limit, STARTED)),
        started=STARTED,
        **given_once(
            {
                "max_pixels": max_pixels,
                "value_range": value_range,
                "metric": metric,
                "class_weights": class_weight_values(class_weights),
            },
            settings,
        ),
    )
    end_with(run, as_json=as_json)
