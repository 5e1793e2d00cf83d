"""What the first of several processes decides in a training, the others do: log, save, stop."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

from kb.finetune.processes import agreed


class Agreement(TrainerCallback):  # type: ignore[misc]
    """Hands on the first process's decisions wherever the callbacks before it can have taken any.

    The others wait there for as long as the first looks at the model, so that none of them is ahead of it in a
    collective operation of the training, which waits for some minutes only.
    """

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The first look is done."""
        _hand_on(control)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """A look, which may end the training."""
        _hand_on(control)

    def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """A loss that is no number ends it too, before a checkpoint is made of it."""
        _hand_on(control)


def _hand_on(control: Any) -> None:
    vars(control).update(agreed(vars(control)))
