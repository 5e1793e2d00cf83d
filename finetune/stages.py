"""The stages of a run, in the order they come: one that teaches, then one that sharpens, then a reward model.

A stage has a folder of its name under the run's, and a learning rate of its own. No torch here.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from kb.errors import ConfigError

TEACHING = ("sft", "distil")
"""What puts the documents into the model: the first stage of every run."""
SHARPENING = ("dpo", "kto", "grpo", "rloo", "orpo", "simpo")
"""What makes a taught model say the right one of the things it might say: at most one of these follows."""
VERIFIED = ("grpo", "rloo")
"""Those that ask the model while they train and reward what holds against the facts; the others learn from rows."""
REWARD = "reward"
"""Trains a reward model on the preference rows. It comes last, and its adapter is never the run's."""
EXPERIMENTAL = ("orpo", "simpo")
"""Those whose trainers TRL may change or remove in any release."""
PINNED = "1.16"
"""The TRL that they are written for."""
RATES = dict.fromkeys(TEACHING, "learning_rate") | {stage: f"{stage}_learning_rate" for stage in (*SHARPENING, REWARD)}
"""The setting of a stage's learning rate."""


def settings_of_others(first: str) -> tuple[str, ...]:
    """How the settings begin that only stages other than this first one know."""
    others = [stage for stage in (*TEACHING, *SHARPENING, REWARD) if stage != first]
    return (*(f"{stage}_" for stage in others), "rl_", "experimental")


def check_stages(stages: Sequence[str], experimental: bool) -> None:
    """Raise ConfigError for stages in an order that makes no sense, or that TRL does not offer (like this)."""
    if "ppo" in stages:
        raise ConfigError(
            "[train] stages: TRL does not offer PPO any more. RLOO is the same idea without a value model: stages ="
            ' ["sft", "rloo"]'
        )
    after = list(stages[1:])
    if after[-1:] == [REWARD]:
        after.pop()
    if not stages or stages[0] not in TEACHING or len(after) > 1 or not set(after) <= set(SHARPENING):
        raise ConfigError(
            f"[train] stages: expected {' or '.join(TEACHING)}, then at most one of {', '.join(SHARPENING)}, then"
            f" {REWARD} or nothing; got {list(stages)}"
        )
    if after and after[0] in EXPERIMENTAL:
        _check_experimental(after[0], experimental)


def _check_experimental(stage: str, allowed: bool) -> None:
    installed = version("trl")
    if not allowed:
        raise ConfigError(
            f"[train] stages: {stage} is in TRL's experimental set, which may change in any release; kb has it for trl"
            f" {PINNED} ({installed} is installed). Set experimental = true under [train] to train it, or take dpo"
        )
    if not f"{installed}.".startswith(f"{PINNED}."):
        raise ConfigError(
            f"[train] stages: {stage} is in TRL's experimental set, and kb has it for trl {PINNED} alone; {installed}"
            f' is installed. pip install "trl=={PINNED}.*", or take dpo'
        )
