"""The user's files are the same after every verb: names, contents and times of change."""

import pytest

from convatlas.cli.main import main

pytestmark = pytest.mark.slow

VERBS = (["data", "check"], ["data", "stats"], ["data", "preview"], ["evaluate"], ["predict"])


def test_the_hash_sees_a_new_file_and_a_new_byte(tmp_path, hashed_tree):
    seen = {hashed_tree(tmp_path)}
    for content in ("", "a", "b"):
        (tmp_path / "file").write_text(content)
        seen.add(hashed_tree(tmp_path))
    assert len(seen) == 4


def test_no_verb_changes_the_data(
    digit_files, hash_before_fit, run, hashed_tree, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert hashed_tree(digit_files) == hash_before_fit
    for words in VERBS:
        asked = [] if words[0] == "data" else [str(run.path)]
        options = ["--with-seen"] if words == ["evaluate"] else []
        with pytest.raises(SystemExit) as end:
            main([*words, *asked, str(digit_files), *options])
        # One file of the folder is broken, which `predict` says by its code.
        assert not end.value.code or words == ["predict"]
        assert hashed_tree(digit_files) == hash_before_fit, words
