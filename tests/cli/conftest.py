"""Two ways to call the command: quickly within this process, and truly as a program."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from convatlas.cli.main import main


@dataclass
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self):
        """Standard output must be one object and nothing else."""
        return json.loads(self.out)


@pytest.fixture
def convatlas(capsys):
    """Call the command's entry function in this process."""

    def call(*args):
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(arg) for arg in args])
        out, err = capsys.readouterr()
        return Answer(left.value.code, out, err)

    return call


@pytest.fixture(scope="session")
def program():
    """Run the installed script, as a user does."""
    script = Path(sys.executable).with_name("convatlas")

    def call(*args, **options):
        done = subprocess.run(
            [script, *map(str, args)],
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
            **options,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return call
