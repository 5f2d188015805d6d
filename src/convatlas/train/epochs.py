"""A run from its first epoch to its last: steps, judging and checkpoints in their order."""

import time

from convatlas.train.bad_steps import BadSteps
from convatlas.train.checkpoint import Checkpoint
from convatlas.train.frozen_parts import hold_still
from convatlas.train.judging import judge
from convatlas.train.run import Run
from convatlas.train.steps import Steps
from convatlas.train.trained import Trained


class Epochs:
    """Trains epoch after epoch, from the first or from where a checkpoint is."""

    def __init__(self, run: Run):
        self.run = run
        self.bad_steps = BadSteps(run)
        self.steps = Steps(run, self.bad_steps)

    def take(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint."""
        run, state = self.run, self.run.state
        if checkpoint.values["all_learn"]:
            run.let_all_learn()
        state.take(checkpoint, run.accelerator)
        run.start = time.perf_counter() - state.result.seconds
        run.together.seconds = state.result.seconds
        steps, epochs = state.result.steps, state.result.epochs
        total = f"{run.total_steps:,}"
        run.progress.say(f"going on after step {steps:,} of {total}, {epochs:.1f} epochs")

    def train(self) -> Trained:
        """Train until the end, or until something ends it earlier."""
        run, state = self.run, self.run.state
        while (state.done < 1 or state.judging) and not run.over:
            if not state.judging:
                self._train_epoch()
            if not run.over:
                self._close_epoch()
        run.bar.close()
        state.network.load_state_dict(state.kept.state_dict())
        state.best.restore(state.network)
        state.result.figures, state.result.kept_epoch = state.best.figures, state.best.epoch
        return state.result

    def _train_epoch(self) -> None:
        """Take the steps that are left of an epoch."""
        run, state, checkpoints = self.run, self.run.state, self.run.options.checkpoints
        run.model.train()
        hold_still(state.network, run.frozen.modules)
        for batch in run.batches_of(state.epoch, state.place):
            if run.stops():
                return
            self.steps.step(batch)
            if run.over or state.done >= 1:
                return
            if checkpoints is not None and checkpoints.due(epoch_ends=False):
                run.save()

    def _close_epoch(self) -> None:
        """Judge what an epoch reached, if it is time for that, and write it down."""
        run, state, result = self.run, self.run.state, self.run.state.result
        checkpoints = run.options.checkpoints
        if self.bad_steps.rest():
            return
        if not result.steps:  # stopped before the first: there is nothing to judge
            run.over = True
            return
        since = run.seconds - state.validated_s
        judged = state.judging or state.done >= 1 or since >= run.options.validate_every_s
        if judged and not judge(run):
            return
        if state.done < 1:
            state.epoch, state.place = state.epoch + 1, 0
        ended = result.ended == "interrupted"  # a checkpoint holds where, if there is one
        if not ended and checkpoints is not None and checkpoints.due(epoch_ends=True):
            run.save(best=judged and state.best.epoch == result.epochs)
