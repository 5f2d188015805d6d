"""Where the time of the test suite goes: seconds by file and by test function, slowest first.

    python benchmarks/suite_durations.py                     the whole suite, in one process
    python benchmarks/suite_durations.py tests/cli -m slow   a part: any arguments of pytest
    python benchmarks/suite_durations.py --cases a.csv tests/cli   a part, case by case, into a file
    python benchmarks/suite_durations.py --read a.csv ...    such files, or what `--junitxml` wrote
    python benchmarks/suite_durations.py --read a.csv ... --result NAME    into `results/NAME.csv`

`results/suite_durations_before.csv` is the suite as it was before its builds were merged.

The whole suite goes to `results/suite_durations.csv`, a part is printed only. Seconds of the
processor include those of the processes that a test starts; other work on the machine stretches
the clock but not them. A fixture counts for the first test that asks for it.
"""

import argparse
import collections
import csv
import os
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from machine import write_results

SHOWN = 40  # functions printed
KEPT_S = 0.5  # a function below goes into the sum of its file only


class Stopwatch:
    """A plugin of pytest: seconds by the clock and of the processor for each case."""

    def __init__(self):
        self.cases = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        clock, processor = time.perf_counter(), processor_s()
        done = yield
        file, _, test = item.nodeid.partition("::")
        spent = time.perf_counter() - clock, processor_s() - processor
        self.cases.append((file, test.partition("[")[0], *spent))
        return done


def processor_s():
    """Of this process and of those that it started and that have ended."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def run(arguments):
    """Run pytest here; the cases, and whether all passed."""
    watch = Stopwatch()
    code = pytest.main(["-q", "-p", "no:cacheprovider", *arguments], plugins=[watch])
    return watch.cases, code


def keep(path, cases):
    """Write cases to a file that `read` reads."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(cases)


def read(path):
    """The cases of a file of `keep`, or of a junit file, which knows the clock only."""
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            for *place, clock, processor in csv.reader(file):
                yield *place, float(clock), float(processor)
        return
    for case in ET.parse(path).iter("testcase"):
        file = case.get("classname", "").replace(".", "/") + ".py"
        seconds = float(case.get("time", 0))
        yield file, case.get("name", "").partition("[")[0], seconds, float("nan")


def add_up(cases, key):
    """Rows of a table, slowest first: what, cases, seconds by the clock and of the processor."""
    sums = collections.defaultdict(lambda: [0, 0.0, 0.0])
    for case in cases:
        row = sums[key(case)]
        row[0] += 1
        row[1] += case[2]
        row[2] += case[3]
    return sorted(((what, *row) for what, row in sums.items()), key=lambda row: -row[2])


def table(cases):
    """Every file, and below them the functions that take long."""
    rows = [("all", *add_up(cases, lambda _: "")[0])]
    rows += [("file", *row) for row in add_up(cases, lambda case: case[0])]
    functions = add_up(cases, lambda case: f"{case[0]}::{case[1]}")
    rows += [("function", *row) for row in functions if row[2] >= KEPT_S]
    names = ("of", "what", "cases", "clock_s", "processor_s")
    return [
        dict(zip(names, (*row[:3], round(row[3], 2), round(row[4], 2)), strict=True))
        for row in rows
    ]


def show(rows):
    """Print the table: files first, then the slowest functions."""
    functions = 0
    for row in rows:
        functions += row["of"] == "function"
        if functions <= SHOWN:
            print(f"{row['clock_s']:9.2f} s {row['processor_s']:9.2f} s of the processor", end="")
            print(f" {row['cases']:5d} cases  {row['what'] or 'in all'}")


def main():
    """Run or read, print, and keep the table of the whole suite."""
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--read", nargs="+", type=Path, metavar="XML", default=[])
    parser.add_argument("--cases", type=Path)
    parser.add_argument("--result")
    options, arguments = parser.parse_known_args()
    if options.read:
        rows = table([case for path in options.read for case in read(path)])
        show(rows)
        if options.result:
            write_results(options.result, rows)
        return 0
    cases, code = run(arguments)
    rows = table(cases)
    if options.cases:
        keep(options.cases, cases)
    if arguments or code:
        show(rows)
    else:
        write_results("suite_durations", rows)
    return code


if __name__ == "__main__":
    sys.exit(main())
