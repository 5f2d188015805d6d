import pytest
import torch

from convatlas.train.distillation import Teacher, distillation_loss


def batch():
    draw = torch.Generator().manual_seed(0)
    logits, teacher = (torch.randn(6, 4, generator=draw, dtype=torch.float64) for _ in range(2))
    return logits.requires_grad_(), teacher.requires_grad_(), torch.tensor([0, 1, 2, 3, 0, 1])


@pytest.mark.parametrize("scaled", [False, True])
def test_it_is_the_sum_of_both_cross_entropies(scaled):
    logits, teacher, labels = batch()
    soft = hard = 0.0
    for x, t, label in zip(logits, teacher, labels, strict=True):
        p, q = (t / 4).exp() / (t / 4).exp().sum(), (x / 4).exp() / (x / 4).exp().sum()
        soft -= (p * q.log()).sum() / 6
        hard -= (x[label].exp() / x.exp().sum()).log() / 6
    expected = 0.9 * soft * (16 if scaled else 1) + 0.1 * hard
    loss = distillation_loss(logits, teacher, labels, temperature=4, scaled=scaled)
    torch.testing.assert_close(loss, expected)


def test_without_a_teachers_part_it_is_cross_entropy_and_the_teacher_never_learns():
    logits, teacher, labels = batch()
    loss = distillation_loss(logits, teacher, labels, temperature=2, soft_fraction=0)
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits, labels))
    distillation_loss(logits, teacher, labels, temperature=2).backward()
    assert teacher.grad is None
    assert logits.grad.abs().sum() > 0


@pytest.mark.parametrize("wrong", [{"temperature": 0}, {"temperature": 1, "soft_fraction": 2}])
def test_senseless_numbers_are_refused(wrong):
    with pytest.raises(ValueError, match="temperature must be above 0 and soft_fraction from 0"):
        distillation_loss(*batch(), **wrong)


def test_a_teacher_adds_its_scaled_part_to_the_usual_loss():
    logits, answers, labels = batch()
    teacher = Teacher(lambda_network(answers), lambda x: x, temperature=4, soft_fraction=0.7)
    usual = torch.nn.functional.cross_entropy
    loss = teacher.criterion(torch.zeros(6, 1, 2, 2), usual)(logits, labels)
    expected = distillation_loss(
        logits, answers, labels, temperature=4, soft_fraction=0.7, scaled=True
    )
    torch.testing.assert_close(loss, expected)


def lambda_network(answers):
    class Fixed(torch.nn.Module):
        def forward(self, x):
            return answers

    return Fixed()
