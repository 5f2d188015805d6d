"""A run in several processes: one step in common, and one clock.

Each process computes the gradients of its part of a batch. They are added up here, weighed by the
examples of each part, and not by torch's DistributedDataParallel: that wants the same parameters
used in each process and each step, which paths that are skipped at random or freeze do not grant,
and lets no process take its part in smaller batches when its memory is short.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from convatlas.train.processes import Processes
from convatlas.train.stop import StopRequest

HEADER = 4  # numbers before the marks of parameters: examples, seconds, stop, small batch


class Together:
    """What the processes of a run have in common.

    Args:
        processes: that train.
        network: whose gradients are added up; it begins as the main process has it.
        stop: of this process; it learns of a signal that another one got.

    Attributes:
        alone: there is one process.
        examples: of the batch in hand that count here.
        seconds: since the run began, by the clock of the main process.
        micro_batch: the smallest that a process needs.
        stopping: a signal came to one of them.
    """

    def __init__(self, processes: Processes, network: nn.Module, stop: StopRequest | None):
        self.processes, self.alone, self.main = processes, processes.alone, processes.main
        self._network, self._stop = network, stop
        self.examples, self.seconds, self.stopping = 0, 0.0, False
        self.micro_batch: int | None = None
        self.even_out([*network.parameters(), *network.buffers()])

    def even_out(self, tensors: Sequence[Tensor]) -> None:
        """Set tensors to those of the main process."""
        self.processes.take_from_main(tensors)

    def gradients(self, loss: Tensor, seconds: float, micro_batch: int | None) -> Tensor:
        """Set the gradients to those of the whole batch; return its loss.

        Args:
            loss: the mean over the examples that count here, as the gradients are.
            seconds: since the run began, by the clock of this process.
            micro_batch: examples at once that memory is enough for here; None: any.
        """
        params = [p for p in self._network.parameters() if p.requires_grad]
        stop = self._stop.number if self._stop is not None else None
        row = [self.examples, seconds, stop or 0, micro_batch or 0]
        table = self.processes.gathered([*row, *(p.grad is not None for p in params)])
        used = table[:, HEADER:].any(0).tolist()
        self.seconds = float(table[0, 1])
        small = table[:, 3][table[:, 3] > 0]
        self.micro_batch = int(small.min()) if len(small) else None
        self.hear(int(table[:, 2].max()))
        share = self.examples / float(table[:, 0].sum())
        grads = [_gradient(p) for p, each in zip(params, used, strict=True) if each]
        common = loss.detach().float() * share
        if share:
            torch._foreach_mul_(grads, share)  # pyright: ignore[reportPrivateImportUsage]
        else:  # what was borrowed to have anything to compute
            torch._foreach_zero_(grads)  # pyright: ignore[reportPrivateImportUsage]
            common = torch.zeros_like(common)
        self.processes.add_up([common, *grads])
        self.even_out(list(self._network.buffers()))
        return common

    def hear(self, number: int) -> None:
        """Take into account a signal that a process got; 0 is none."""
        if number:
            self.stopping = True
            if self._stop is not None and self._stop.number is None:
                self._stop.number = number


def _gradient(parameter: nn.Parameter) -> Tensor:
    """Return a gradient; of a parameter that only other processes used, nothing yet."""
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad
