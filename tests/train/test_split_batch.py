"""Batches cut into smaller ones."""

from typing import NamedTuple

import pytest
import torch

from convatlas.train.split_batch import CannotSplit, examples_in, split_batch


class Pair(NamedTuple):
    first: torch.Tensor
    second: torch.Tensor


def rows(count=7):
    return torch.arange(count * 2).view(count, 2)


@pytest.mark.parametrize("kind", [list, tuple])
def test_tensors_are_cut_along_their_first_axis(kind):
    parts = split_batch(kind([rows(), rows()[:, 0]]), 3, 7)
    assert [type(part) for part, _ in parts] == [kind] * 3
    assert [len(part[0]) for part, _ in parts] == [2, 2, 3]
    assert [share for _, share in parts] == pytest.approx([2 / 7, 2 / 7, 3 / 7])
    assert torch.equal(torch.cat([part[0] for part, _ in parts]), rows())
    assert torch.equal(torch.cat([part[1] for part, _ in parts]), rows()[:, 0])


def test_dictionaries_and_named_tuples_keep_their_form():
    (first, _), (second, _) = split_batch({"x": rows(), "more": Pair(rows(), rows())}, 2, 7)
    assert first["x"].tolist() == rows()[:3].tolist()
    assert isinstance(second["more"], Pair)
    assert second["more"].second.tolist() == rows()[3:].tolist()


def test_lists_with_a_member_for_each_example_are_cut_between_them():
    images = [torch.zeros(3, 4 + number, 5) for number in range(5)]
    boxes = [{"boxes": torch.zeros(number, 4), "file": f"{number}.png"} for number in range(5)]
    parts = split_batch((images, boxes), 2, 5)
    assert [[len(x[0, :, 0]) for x in part[0]] for part, _ in parts] == [[4, 5], [6, 7, 8]]
    assert [[b["file"] for b in part[1]] for part, _ in parts] == [
        ["0.png", "1.png"],
        ["2.png", "3.png", "4.png"],
    ]


def test_two_examples_of_two_tensors_are_cut_by_example():
    (first, _), (second, _) = split_batch([rows(2), rows(2) + 10], 2, 2)
    assert first[1].tolist() == [[10, 11]]
    assert second[0].tolist() == [[2, 3]]


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ((rows(), 0.5), "0.5 has no place for each of its 7 examples"),
        ((rows(), rows(3)), r"a tensor of shape \(3, 2\) has no place"),
        ((rows(), torch.tensor(1.0)), r"a tensor of shape \(\) has no place"),
    ],
)
def test_what_has_no_place_for_each_example_is_named(batch, words):
    with pytest.raises(CannotSplit, match=words):
        split_batch(batch, 2, 7)


def test_the_examples_of_a_batch_are_counted():
    assert examples_in({"scale": torch.tensor(2.0), "x": rows()}) == 7
    with pytest.raises(CannotSplit, match="no tensor"):
        examples_in(["a.png"])
