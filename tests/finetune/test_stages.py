"""Which stages make a run, and in what order."""

import pytest

from kb.errors import ConfigError
from kb.finetune import stages
from kb.finetune.config import TrainConfig
from kb.finetune.stages import PINNED, RATES, REWARD, SHARPENING, TEACHING


@pytest.mark.parametrize(
    "order",
    [("sft",), ("sft", "reward"), *(("sft", stage) for stage in SHARPENING), ("sft", "kto", "reward")],
)  # fmt: skip
def test_one_that_teaches_one_that_sharpens_and_a_reward_model(order):
    """Any of them may be left out but the first."""
    assert TrainConfig(stages=order, experimental=True).stages == order


@pytest.mark.parametrize(
    "order",
    [
        (), ("dpo",), ("reward",), ("dpo", "sft"), ("sft", "sft"), ("sft", "dpo", "kto"), ("sft", "reward", "dpo"),
        ("sft", "reward", "reward"), ("sft", "dop"),
    ],
)  # fmt: skip
def test_an_order_without_sense_is_one_clear_line(order):
    """What was expected and what was given; a word that is no stage, too."""
    with pytest.raises(
        ConfigError, match=r"\[train\] stages: expected sft.*, then at most one of dpo, .*; got"
    ) as told:
        TrainConfig(stages=order)
    assert str(list(order)) in str(told.value)


def test_ppo_is_not_offered_and_rloo_is_named():
    """TRL has removed it."""
    with pytest.raises(ConfigError, match=r'TRL does not offer PPO any more.*stages = \["sft", "rloo"\]'):
        TrainConfig(stages=("sft", "ppo"))


@pytest.mark.parametrize("stage", ["orpo", "simpo"])
def test_the_experimental_set_is_behind_a_setting_and_a_pin(stage, monkeypatch):
    """Without the setting, and with another TRL than the one they are written for."""
    monkeypatch.setattr(stages, "version", lambda package: {"trl": f"{PINNED}.3"}[package])
    with pytest.raises(ConfigError, match=rf"{stage} is in TRL's experimental set.*1\.16 \(1\.16\.3 is installed\)"):
        TrainConfig(stages=("sft", stage))
    assert TrainConfig(stages=("sft", stage), experimental=True).experimental
    monkeypatch.setattr(stages, "version", lambda package: "1.160.0")
    with pytest.raises(ConfigError, match=r"for trl 1\.16 alone; 1\.160\.0 is installed"):
        TrainConfig(stages=("sft", stage), experimental=True)


def test_every_stage_has_a_learning_rate():
    """The setting that is named when a loss is not a number."""
    assert set(RATES) == {*TEACHING, *SHARPENING, REWARD}
    assert all(hasattr(TrainConfig(), setting) for setting in RATES.values())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"stages": ("sft", "grpo"), "rl_samples": 1}, "rl_samples: grpo compares"),
        ({"stages": ("sft", "rloo"), "batch_size": 12}, r"batch_size = 12 without a rest; got 8"),
        ({"stages": ("sft", "kto"), "batch_size": 1}, "batch_size: kto needs two rows"),
        ({"stages": ("sft", "kto"), "batch_size": 9, "micro_batch": 2}, "9 cannot be divided into micro-batches of 2 "),
        ({"rl_declining": 1.5}, r"rl_declining: expected -1 \(wrong\) to 1 \(right\)"),
        ({"questions": False, "prose": False}, "without questions and without prose there is nothing to train"),
    ],
)  # fmt: skip
def test_settings_that_leave_a_stage_nothing_to_compare_are_refused(settings, said):
    """Before anything is trained, with both numbers."""
    with pytest.raises(ConfigError, match=said):
        TrainConfig(**settings)
    assert TrainConfig(batch_size=9, rl_samples=2).batch_size == 9
