"""Where a measurement was made: the columns that every result carries, and the file they go to."""

import csv
import datetime
import platform
from pathlib import Path

RESULTS = Path(__file__).with_name("results")


def describe_machine():
    """Processor, threads and versions, as columns."""
    import torch

    import convatlas

    return {
        "device": _processor(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "convatlas": convatlas.__version__,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def write_results(name, rows, *, append=False):
    """Write rows of plain values to `results/NAME.csv` and print them.

    Args:
        append: keep the rows that are there; columns that only some rows have are empty in others.
    """
    here = describe_machine()  # a row that was read again keeps what it says of its own machine
    rows = [row | {key: row.get(key, value) for key, value in here.items()} for row in rows]
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.csv"
    kept = read_results(name) if append else []
    columns = list(dict.fromkeys(key for row in [*rows, *kept] for key in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows([*kept, *rows])
    for row in rows:
        print("  ".join(f"{key} {value}" for key, value in row.items()))
    print(f"written to {path.relative_to(path.parents[2])}")


def read_results(name):
    """Rows of before, each with the machine and the date that it was measured on."""
    path = RESULTS / f"{name}.csv"
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()
