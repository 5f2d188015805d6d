"""Five channels from the files to the exported network, where only the fifth tells the classes."""

import html

import numpy as np
import pytest
import tifffile

import convatlas as ca
from convatlas.deploy.parity import check_parity
from convatlas.tasks import recognise_task

CLASSES, SIDE, A_CLASS = ("dry", "wet"), 32, 30
KINDS = {".tif": np.uint8, ".npy": np.uint16}


def write(path, values):
    if path.suffix == ".npy":
        np.save(path, values)
    else:
        tifffile.imwrite(path, values, photometric="minisblack", planarconfig="contig")


@pytest.fixture(scope="module", params=KINDS, ids=[kind[1:] for kind in KINDS])
def trained(request, tmp_path_factory):
    folder, numbers = tmp_path_factory.mktemp("bands"), np.random.default_rng(0)
    most = 255 if KINDS[request.param] == np.uint8 else 4095
    for label, name in enumerate(CLASSES):
        (folder / "data" / name).mkdir(parents=True)
        for place in range(A_CLASS):
            values = numbers.random((SIDE, SIDE, 5))
            values[..., 4] = 0.4 * values[..., 4] + 0.4 * label
            values = (values * most).astype(KINDS[request.param])
            write(folder / "data" / name / f"{place}{request.param}", values)
    assert recognise_task(folder / "data").name == "classify"
    run = ca.fit(
        folder / "data", model="lenet5_modern", epochs=8, max_trials=1, out=folder / "run", seed=0
    )
    return run, folder, sorted((folder / "data").rglob(f"*{request.param}"))


def test_the_fifth_channel_tells_the_classes(trained):
    run, folder, files = trained
    assert run.facts["channels"] == len(run.config.settings["mean"]) == 5
    evaluation = run.evaluate()
    assert evaluation.score.right >= 0.9 * len(evaluation)
    opened = ca.open_run(folder / "run")
    assert opened.evaluate().score.right == evaluation.score.right
    answers = opened.predict(folder / "data")
    assert sorted(answer.file for answer in answers) == list(map(str, files))
    right = sum(answer.label in answer.file for answer in answers)
    assert right >= 0.95 * len(files)
    pattern = opened.predict(str(folder / "data" / "dry" / f"*{files[0].suffix}"))
    assert len(pattern) == A_CLASS


def test_arrays_in_memory_are_answered_as_files_are(trained):
    run, _, files = trained
    some = [files[0], files[-1]]
    values = [np.load(f) if f.suffix == ".npy" else tifffile.imread(f) for f in some]
    expected = [answer.probability for answer in run.predict(some)]
    assert [answer.probability for answer in run.predict(values)] == pytest.approx(expected)
    for one, other, label in ((0, 1, "wet"), (1, 0, "dry")):  # the fifth channel of the other
        swapped = np.dstack([values[one][..., :4], values[other][..., 4]])
        assert [answer.label for answer in run.predict(swapped)] == [label]


def test_the_exported_file_and_its_code_answer_as_the_run_does(trained, capsys):
    run, _, files = trained
    split = run.data().splits["test"]
    samples = run.task.sample(split, 8)
    assert check_parity(run.predictor(), run.files["onnx"], samples).passed
    code = run.task.runtime_code(run.files["onnx"], run.config)
    assert code in html.unescape((run.path / "report.html").read_text(encoding="utf-8"))
    capsys.readouterr()
    exec(code.replace("'photo.tif'", repr(str(files[-1]))), {})
    label, probability = capsys.readouterr().out.split()
    (answer,) = run.predict(files[-1])
    assert label == answer.label == "wet"
    assert float(probability) == pytest.approx(answer.probability, abs=1e-4)
