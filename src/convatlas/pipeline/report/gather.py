"""Gathers what the report shows."""

from collections.abc import Sequence
from pathlib import Path

from convatlas.atlas.compare import compare_all
from convatlas.claims.loader import find_claims
from convatlas.cost import Cost
from convatlas.data.dataset import Dataset
from convatlas.pipeline.config import FILE_NAMES, RunConfig
from convatlas.pipeline.report.page import write_report
from convatlas.progress import Progress
from convatlas.tasks.answers import Evaluation
from convatlas.train.log import read_log


def report_run(
    folder: Path,
    config: RunConfig,
    data: Dataset,
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
        data=data,
        log=read_log(folder),
        evaluation=test,
        layers=cost.layers,
        claims=[row.to_dict() for row in compare_all(find_claims([config.model]))],
        scan=data.scan.to_dict(),
        doubts=doubts,
    )
    bar.close()
    return path
