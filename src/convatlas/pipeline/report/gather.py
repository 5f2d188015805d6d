"""Gathers what the report shows."""

from collections.abc import Sequence
from pathlib import Path

from convatlas.atlas.card import describe
from convatlas.cost import Cost
from convatlas.data import ImageData
from convatlas.explain.evaluation import Evaluation
from convatlas.pipeline.config import FILE_NAMES, RunConfig
from convatlas.pipeline.report.page import write_report
from convatlas.progress import Progress
from convatlas.train.log import read_log


def report_run(
    folder: Path,
    config: RunConfig,
    images: ImageData,
    test: Evaluation,
    cost: Cost,
    progress: Progress,
    doubts: Sequence[str] = (),
) -> Path:
    """Write `report.html` into the run folder."""
    bar = progress.bar("writing the report")
    path = write_report(
        folder / FILE_NAMES["report"],
        config=config,
        data=images,
        log=read_log(folder),
        evaluation=test,
        layers=cost.layers,
        claims=[row.to_dict() for row in describe(config.model).claims],
        scan=images.scan.to_dict(),
        doubts=doubts,
    )
    bar.close()
    return path
