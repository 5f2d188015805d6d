"""Pre-processing, network and post-processing as one module: evaluated, used and exported alike."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

BATCH = 64
BATCH_ELEMENTS = 3 << 24  # of inputs: large ones make small batches

Item = Tensor | tuple[Tensor, ...]  # one input without the batch: a tensor for each argument


@dataclass(frozen=True)
class Agreement:
    """How far two answers to the same inputs agree.

    Args:
        share: of the inputs on which both decide the same, 0..1.
        difference: the largest absolute difference of any number.
    """

    share: float
    difference: float


class Predictor(nn.Module):
    """What a run is asked through, whatever its task; a task's own class says what stands here.

    Attributes:
        network: the trained network inside.
        inputs: the names of `forward`'s arguments, and which of their axes are free.
        outputs: the names of what `forward` returns.
        metadata: what an exported file has to say of itself, as text.
        items: what an input is called, in the plural.
        decision: what `compare` counts, in words: "same top-1".
        usage: how an exported file is fed and what it gives, in one line.
    """

    network: nn.Module
    inputs: Mapping[str, Mapping[int, str]]
    outputs: Sequence[str]
    metadata: Mapping[str, str]
    items: str
    decision: str
    usage: str

    def example(self, batch: int = 2) -> tuple[Tensor, ...]:
        """Return inputs of a usual form, one tensor for each argument of `forward`.

        Free axes have lengths of 2 and more that differ from each other, where they can.
        """
        raise NotImplementedError

    def compare(self, expected: Any, answered: Any, tolerance: float) -> Agreement:
        """Hold answers against those that are expected.

        Args:
            tolerance: the difference that rounding may cause.
        """
        raise NotImplementedError

    @torch.no_grad()
    def predict(self, items: Sequence[Item]) -> Any:
        """Answer inputs of any sizes, in evaluation mode, in their order.

        Args:
            items: a tensor each, or a tuple of tensors where `forward` takes several.

        Shape: each as `forward` takes it, without the batch
        """
        training = self.training
        home = next((tensor.device for tensor in self.state_dict().values()), torch.device("cpu"))
        self.eval()
        try:
            return self.answers(items, lambda *batch: _on_cpu(self(*(x.to(home) for x in batch))))
        finally:
            self.train(training)

    def answers(self, items: Sequence[Any], run: Callable[..., Any]) -> Any:
        """Answer inputs through `run`: this module, or an exported file.

        Args:
            run: takes batches as `forward` does, and returns what it returns.
        """
        return answer_by_size(items, run)


def _on_cpu(answer: Any) -> Any:
    """Move what `forward` gives, a tensor or several."""
    return tree_map_only(Tensor, Tensor.cpu, answer)


def parts_of(item: Item) -> tuple[Tensor, ...]:
    """Return the tensors of one input, in the order of the arguments that they are for."""
    return item if isinstance(item, tuple) else (item,)


def answer_by_size(items: Sequence[Item], answer: Callable[..., Tensor]) -> Tensor:
    """Batch inputs of equal shapes, answer each batch, put the answers into the inputs' order.

    Args:
        items: at least one, of any shapes; tuples of tensors where `answer` takes several.
        answer: takes a stack for each tensor of an input, along a new first axis, which its answer
            keeps.

    Raises:
        ValueError: there are no inputs.
    """
    return torch.stack([part for (part,) in stacked_by_size(items, answer)])


def stacked_by_size(
    items: Sequence[Item], answer: Callable[..., Tensor | tuple[Tensor, ...]]
) -> list[tuple[Tensor, ...]]:
    """Batch inputs as `answer_by_size` does, where an answer may be several tensors.

    Returns the parts of each input's answer, without the batch.

    Raises:
        ValueError: there are no inputs.
    """
    if not items:
        raise ValueError("answer_by_size: must be given inputs, got none")
    parts = [parts_of(item) for item in items]
    places = defaultdict(list)
    for place, each in enumerate(parts):
        places[tuple(x.shape for x in each)].append(place)
    answers: dict[int, tuple[Tensor, ...]] = {}
    for shapes, same in places.items():
        step = max(1, min(BATCH, BATCH_ELEMENTS // max(1, sum(s.numel() for s in shapes))))
        for start in range(0, len(same), step):
            chunk = same[start : start + step]
            stacks = zip(*(parts[place] for place in chunk), strict=True)
            found = answer(*(torch.stack(stack) for stack in stacks))
            rows = zip(*(found if isinstance(found, tuple) else (found,)), strict=True)
            answers.update(zip(chunk, rows, strict=True))
    return [answers[place] for place in range(len(items))]
