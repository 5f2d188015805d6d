"""The task of giving images back: principal components beside it, answers, and its report."""

import html
import json

import numpy as np
import pytest
import torch
from PIL import Image

import convatlas as ca
from convatlas.cli.main import main
from convatlas.data.pixels.latent_facts import LatentFacts
from convatlas.deploy.reconstructor import Reconstructor
from convatlas.errors import UsageError
from convatlas.explain.reconstructions import principal
from convatlas.explain.reconstructions.evaluation import (
    MEAN,
    NETWORK,
    PCA,
    ReconstructionEvaluation,
)
from convatlas.explain.reconstructions.prediction import Reconstruction
from convatlas.explain.reconstructions.principal import PrincipalComponents
from convatlas.models import create_model
from convatlas.tasks import find_task


def facts(**changes):
    plain = {"classes": [], "told": False, "channels": 1, "height": 6, "width": 7, "levels": 256}
    return LatentFacts(**{**plain, "resized": False, "latent": 3, **changes})


def judged(**errors):
    named = {{"network": NETWORK, "pca": PCA, "mean": MEAN}[k]: v for k, v in errors.items()}
    tensors = {name: torch.tensor(each) for name, each in named.items()}
    return ReconstructionEvaluation(facts(), tensors, ["a", "b"], [0, 0], torch.zeros(2, 3), (), ())


@pytest.mark.parametrize("limit", [2048, 1])
def test_components_are_those_of_the_singular_values(limit, monkeypatch):
    """The exact way and the randomised one, beside numpy's decomposition of the same vectors."""
    monkeypatch.setattr(principal, "MAX_EXACT", limit)
    monkeypatch.setattr(principal, "BATCH", 7)
    x = torch.randn(50, 12, generator=torch.Generator().manual_seed(0)) * torch.arange(1, 13)
    found = PrincipalComponents(x, 4)
    centred = x.double().numpy() - x.double().numpy().mean(0)
    u, sizes, v = np.linalg.svd(centred, full_matrices=False)
    expected = (u[:, :4] * sizes[:4]) @ v[:4] + x.double().numpy().mean(0)
    np.testing.assert_allclose(found.decode(found.encode(x)).numpy(), expected, atol=1e-4)
    np.testing.assert_allclose(found.shares, (sizes**2 / (sizes**2).sum())[:4], atol=1e-6)


def test_images_that_are_all_alike_have_components_without_spread():
    found = PrincipalComponents(torch.ones(5, 3), 2)
    assert found.shares == [0.0, 0.0]
    torch.testing.assert_close(
        found.decode(found.encode(torch.ones(1, 3))).float(), torch.ones(1, 3)
    )


def test_the_predictor_scales_asks_and_cuts():
    torch.manual_seed(0)
    network = create_model("conv_autoencoder_mnist", image_size=(6, 7), latent=3, maps=4).eval()
    network.up[-1].bias.data += 1.25  # so that some values leave 0..1
    model = Reconstructor(network, facts()).eval()
    (images,) = model.example(3)
    made, latents = model.predict(list(images))
    with torch.no_grad():
        latent, y = network(images.permute(0, 3, 1, 2) / 255)
    assert float(y.max()) > 1
    torch.testing.assert_close(latents, latent)
    torch.testing.assert_close(made, y.clamp(0, 1).permute(0, 2, 3, 1))
    other = (made + torch.tensor([0, 0, 0.5]).view(3, 1, 1, 1), latents)
    agreement = model.compare((made, latents), other, 1e-4)
    assert (agreement.share, agreement.difference) == (pytest.approx(2 / 3), pytest.approx(0.5))


def test_a_network_that_is_no_better_than_principal_components_is_doubted():
    (doubt,) = judged(network=[0.2, 0.4], pca=[0.1, 0.3], mean=[0.5, 0.5]).doubts()
    assert "no less than that of 3 principal components (0.2)" in doubt
    assert judged(network=[0.2, 0.4], pca=[0.4, 0.3]).doubts() == []
    assert len(judged(network=[float("nan")] * 2, pca=[0.4, 0.3]).doubts()) == 1


def test_figures_and_words_are_those_of_the_errors():
    evaluation = judged(network=[0.2, 0.4], pca=[0.3, 0.5], mean=[0.9, 0.7])
    assert evaluation.figures == {
        "mse": pytest.approx(0.3),
        "mse_pca": pytest.approx(0.4),
        "mse_mean_image": pytest.approx(0.8),
    }
    assert "0.3 per value of 2 images" in evaluation.lines()[0]
    assert evaluation.table()[1][0][-1] == f"{-10 * np.log10(0.3):.2f} dB"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"latent": 0}, "latent must be a whole number from 1 to 4096, got 0"),
        ({"latent": 2.5}, "latent must be a whole number from 1 to 4096, got 2.5"),
        ({"size": 2}, "size must be a whole number of pixels from 4 to 256, got 2"),
        ({"levels": 4}, "'levels' is no option here"),
    ],
)
def test_options_are_checked_before_any_work(tmp_path, options, says):
    with pytest.raises(UsageError, match=says):
        ca.fit(tmp_path, task="reconstruct", **options)


def test_it_must_be_asked_for(tmp_path):
    assert not find_task("reconstruct").takes("digits")


def test_an_answer_is_written_as_a_picture(tmp_path):
    image = torch.arange(42, dtype=torch.uint8).view(6, 7, 1)
    answer = Reconstruction("folder/odd.png", 0.01, [1.0], image=image)
    (path,) = answer.save(tmp_path)
    assert path.name == "odd-reconstruction.png"
    assert torch.equal(torch.from_numpy(np.array(Image.open(path))), image[..., 0])
    assert answer.rows(1) == [("folder/odd.png", "0.01", "20.00 dB")]
    assert Reconstruction("a.png", 0.0).psnr_db == float("inf")


@pytest.mark.slow
def test_errors_of_answers_are_those_of_the_pictures(reconstruct, tmp_path, capsys):
    """Of the command, of the evaluation and of the saved picture up to its 8 bits."""
    run, new = reconstruct.run, reconstruct.new
    with pytest.raises(SystemExit):
        main(["predict", str(run.path), str(new), "--save", str(tmp_path), "--json"])
    (told,) = json.loads(capsys.readouterr().out)["predictions"]
    original = np.array(Image.open(new)) / 255
    made = np.array(Image.open(tmp_path / f"{new.stem}-reconstruction.png")) / 255
    assert told["mse"] == pytest.approx(((original - made) ** 2).mean(), abs=2e-3)
    assert len(told["latent"]) == 6
    evaluation = run.evaluate(reconstruct.other)
    by_file = evaluation.to_dict()["mse_by_image"]
    assert by_file[new.name] == pytest.approx(told["mse"], rel=1e-4)
    assert max(by_file.values()) == pytest.approx(evaluation.worst[0].mse)


@pytest.mark.slow
def test_the_report_shows_what_is_given_back_and_its_code_runs(reconstruct, tmp_path, capsys):
    run = reconstruct.run
    page = html.unescape((run.path / "report.html").read_text(encoding="utf-8"))
    assert "6 principal components" in page
    assert "first principal component of the latent numbers" in page
    code = reconstruct.task.runtime_code(run.files["onnx"], run.config)
    assert code in page
    for name, path in (("photo.png", reconstruct.new), ("given_back.png", tmp_path / "b.png")):
        code = code.replace(f'"{name}"', repr(str(path)))
    exec(code, {})
    (answer,) = run.predict(reconstruct.new)
    error = float(capsys.readouterr().out.split("\n")[0].rsplit(" ", 1)[1])
    assert error == pytest.approx(answer.mse, abs=1e-5)
    saved = np.array(Image.open(tmp_path / "b.png")).astype(int)
    assert np.abs(saved - answer.image[..., 0].numpy()).max() <= 1
