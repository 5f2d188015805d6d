"""What is ruled out before a step of it is run."""

import pytest

from convatlas.data import open_images
from convatlas.job.choosing import choose_entrants
from convatlas.job.contest import Contest
from convatlas.progress import Silent
from convatlas.search.budget import Budget
from convatlas.search.counted import count_candidate
from convatlas.search.space import Candidate
from convatlas.train.recipe import Recipe
from convatlas.train.stop import StopRequest


def test_a_network_that_no_machine_could_train_in_the_time_is_never_built(monkeypatch):
    contest = Contest(open_images("digits"), Recipe(), StopRequest(), Silent())
    huge = Candidate("vgg19", {"in_channels": 1, "num_classes": 10, "width": 1.5}, 224)
    options = {"in_channels": 1, "num_classes": 10, "size": 21}
    small = Candidate("linear_classifier", options, 21)
    counted = [count_candidate(candidate, Budget()) for candidate in (huge, small)]
    assert all(c.fits for c in counted)
    build = Candidate.build

    def watched(candidate):
        if candidate is huge:
            pytest.fail("the huge network was built")
        return build(candidate)

    monkeypatch.setattr(Candidate, "build", watched)
    entrants, others = choose_entrants(counted, Budget(), contest, seconds=60)
    assert [e.record.model for e in entrants] == ["linear_classifier"]
    (left_out,) = others
    assert left_out.reason.startswith("too slow: a pass over the images takes ")
