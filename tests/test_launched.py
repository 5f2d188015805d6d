"""What several processes cannot share out is refused in each of them, before anything is read."""

import pytest

import convatlas as ca
from convatlas.cli.main import main
from convatlas.errors import UsageError
from convatlas.launched import process_count, process_number


@pytest.fixture
def _second_of_two(monkeypatch):
    for name, value in (("RANK", "1"), ("WORLD_SIZE", "2"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("_second_of_two")
def test_fit_names_the_verb_that_runs_in_several_processes(tmp_path):
    assert (process_number(), process_count()) == (1, 2)
    with pytest.raises(UsageError, match=r"fit runs in one process.*`train`"):
        ca.fit("digits", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("_second_of_two")
@pytest.mark.parametrize(
    "words", [["fit", "digits"], ["evaluate", "run", "data"], ["train", "dcgan", "photos"]]
)
def test_other_verbs_end_each_process_with_a_sentence(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == UsageError.exit_code
    said = capsys.readouterr()
    assert "process 1: error:" in said.err
    assert "`train` and `resume` share a run out" in said.err
    assert said.out == ""


def test_a_process_by_itself_is_the_main_one(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setenv("WORLD_SIZE", "8")  # as a scheduler may leave it in a single process
    assert (process_number(), process_count()) == (0, 1)
