import pytest
import torch

from convatlas.deploy.predictor import BATCH_ELEMENTS, answer_by_size

ODD = [(24, 24), (37, 53), (1, 1), (24, 24), (7, 300)]


def test_probabilities_are_softmax_of_network_of_preprocessed_images(build, images):
    classifier = build().eval()
    (image,) = images((24, 24))
    pixels = (image.permute(2, 0, 1).float() / 255 - 0.4) / 0.3  # its size already: no resize
    logits = classifier.network(pixels[None])
    expected = logits.exp() / logits.exp().sum()
    torch.testing.assert_close(classifier(image[None]), expected, rtol=1e-4, atol=1e-6)


def test_batching_by_size_changes_no_answer_and_no_order(build, images):
    classifier, photos = build().eval(), images(*ODD, each=3)
    one_by_one = torch.cat([classifier(photo[None]) for photo in photos])
    torch.testing.assert_close(classifier.predict(photos), one_by_one, rtol=1e-4, atol=1e-6)


def test_predicting_does_not_drop_out_and_leaves_the_mode_as_it_was(build, images):
    classifier, photos = build().train(), images((24, 24), each=2)
    first = classifier.predict(photos)
    assert classifier.training
    assert classifier.network.training
    torch.testing.assert_close(classifier.predict(photos), first, rtol=0, atol=0)


def test_batches_of_large_images_stay_small():
    seen = []

    def answer(batch):
        seen.append(len(batch))
        return batch.float().mean((1, 2))

    photo = torch.zeros(1, dtype=torch.uint8).expand(4096, 1024, 3)
    assert len(answer_by_size([photo] * 9, answer)) == 9
    assert seen == [4, 4, 1]
    assert max(seen) * photo.numel() <= BATCH_ELEMENTS


def test_no_images_are_refused():
    with pytest.raises(ValueError, match="must be given inputs, got none"):
        answer_by_size([], lambda batch: batch)
