"""Several processes that train together: how they divide the rows, what they refuse, and two that really do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kb.errors import KBError, UsageError
from kb.finetune.batches import training_order
from kb.finetune.config import TrainConfig
from kb.finetune.processes import agreed, check_shared, first, missing, share, together
from kb.finetune.room import OutOfMemory, Room, described, room_of, within_memory

SCRIPT = Path(__file__).with_name("trained_by_two.py")
LAUNCH = ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--main_process_port", "0")
"""Two processes; `--cpu` would start one alone. Where there is no GPU they are on the CPU."""
ROWS = {"max_steps": 0, "epochs": 2.0, "batch_size": 6, "micro_batch": 3}
"""16 rows in groups of three, so the last step of the last epoch is a part of one."""
PAIRS = {"max_steps": 0, "dpo_epochs": 2.0}
ROUNDING = 1e-5
"""Of weights up to about 0.2 in fp32. Gradients are the same sums of the same rows added in another order, 1e-7 of
them; AdamW divides them by their own size, so that where a gradient is nearly zero a few steps make 1e-6 of it.
"""


@pytest.fixture
def processes(monkeypatch):
    """A function that sets how many processes there are, this being the first or another."""

    def start(number, rank=0):
        monkeypatch.setenv("WORLD_SIZE", str(number))
        monkeypatch.setenv("RANK", str(rank))

    return start


def test_one_process_is_the_first_and_needs_nobody():
    """Without a launcher nothing is handed on, and a call is a call."""
    assert first() and agreed(3) == 3 and together(max, 1, 2) == 2
    assert missing(7, 4) == 0 and share(16, 8) == 8


def test_the_launcher_says_which_one_is_the_first(processes):
    """Its variables are those of torch's launcher."""
    processes(2, rank=1)
    assert not first()


@pytest.mark.parametrize(
    ("number", "batch", "micro", "held"), [(2, 16, 4, 4), (2, 16, 16, 8), (2, 12, 4, 2), (3, 12, 4, 4), (4, 4, 4, 1)]
)
def test_a_step_has_as_many_rows_however_many_share_it(processes, number, batch, micro, held):
    """Each holds a divisor of what stands together and of its own part of the step."""
    processes(number)
    assert share(batch, micro) == held
    assert batch % (held * number) == 0 and micro % held == 0


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 16])
def test_the_last_round_is_filled_up(processes, rows):
    """Up to a whole one and no further."""
    processes(2)
    assert (rows + missing(rows, 4)) % 8 == 0
    assert missing(rows, 4) < 8


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {"batch_size": 6},
            "batch_size: 6 rows behind a step cannot be divided among 4 processes; set a multiple of 4",
        ),
        ({"stages": ("distil",)}, "stages: distil trains in one process, and 4 were started; .* without accelerate"),
        ({"stages": ("sft", "grpo")}, "stages: grpo trains in one process"),
        ({"stages": ("sft", "dpo", "reward")}, "stages: reward trains in one process"),
    ],
)
def test_what_cannot_be_shared_is_refused(processes, settings, line):
    """In one line that names the setting and the cure; one process does it."""
    config = TrainConfig(**{"rl_samples": 2, **settings})
    processes(4)
    with pytest.raises(UsageError, match=rf"^\[train\] {line}"):
        check_shared(config, True)
    processes(1)
    check_shared(config, True)


@pytest.mark.parametrize(
    ("settings", "four_bit", "line"),
    [
        ({}, False, r"\[train\] watch: .* set watch = false"),
        ({"watch": False, "tuning": "prefix"}, False, r'\[train\] tuning: .* set tuning = "lora"'),
        ({"watch": False, "init": "pissa"}, False, r'\[train\] init: .* set init = "default"'),
        ({"watch": False, "dora": True}, False, r"\[train\] dora: .* set dora = false"),
        ({"watch": False}, True, r"\[model\] load_in_4bit: .* set load_in_4bit = false"),
    ],
)
def test_a_model_in_parts_refuses_what_needs_it_whole(processes, monkeypatch, settings, four_bit, line):
    """In one line again; where each process has the whole model, it is trained."""
    config = TrainConfig(**settings)
    processes(2)
    check_shared(config, four_bit)
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    check_shared(TrainConfig(watch=False), load_in_4bit=False)
    with pytest.raises(UsageError, match=rf"^{line}, or let each have all of it: accelerate launch --multi_gpu$"):
        check_shared(config, four_bit)


def test_weights_that_zero_3_splits_are_not_saved_for_the_whole(processes, monkeypatch):
    """Stage 2 leaves them whole."""
    processes(2)
    monkeypatch.setenv("ACCELERATE_DEEPSPEED_ZERO_STAGE", "2")
    check_shared(TrainConfig(), load_in_4bit=True)
    monkeypatch.setenv("ACCELERATE_DEEPSPEED_ZERO_STAGE", "3")
    with pytest.raises(UsageError, match="take zero_stage 2 or lower"):
        check_shared(TrainConfig(), load_in_4bit=True)


def test_memory_that_runs_out_ends_all_of_them(processes, tmp_path):
    """The others are in the middle of the step, so the next try is another command, and what it takes is kept."""
    processes(2)

    def attempt():
        raise OutOfMemory(room_of(tmp_path, 4, False))

    with pytest.raises(KBError, match=r"out of memory\. The same command again takes micro-batches of 2 rows, 4 for"):
        within_memory(tmp_path, 16, attempt)
    assert room_of(tmp_path, 4, False) == Room(4, 2, False)


def test_a_plan_says_how_a_step_is_shared(processes):
    """And nothing of processes where there is one."""
    assert "process" not in described(Room(8, 8, False), 16)
    processes(2)
    assert described(Room(8, 8, True), 16).startswith("micro-batches of 8 rows, 1 for a step in each of 2 processes,")


@pytest.mark.slow
@pytest.mark.parametrize(("number", "batch", "micro"), [(2, 8, 4), (2, 8, 8), (3, 6, 2)])
def test_each_row_is_trained_once_an_epoch(processes, number, batch, micro):
    """As accelerate deals the batches to the processes; the rows of a step are those that one process has in it."""
    from accelerate.data_loader import BatchSamplerShard
    from torch.utils.data import BatchSampler

    processes(number)
    lengths = [5 + place % 7 for place in range(21)]
    order = training_order(lengths, 2.0, batch, micro, seed=3)
    held, blank = share(batch, micro), len(lengths)
    dealt = order + [blank] * missing(len(order), held)
    parts = [
        list(BatchSamplerShard(BatchSampler(dealt, held, False), number, rank, even_batches=True))
        for rank in range(number)
    ]
    turns = batch // (held * number)
    for start in range(0, len(parts[0]), turns):
        step = [place for part in parts for group in part[start : start + turns] for place in group]
        place = start * held * number
        assert sorted(set(step) - {blank}) == sorted(set(order[place : place + batch]))
    trained = [place for part in parts for group in part for place in group]
    assert sorted(place for place in trained if place != blank) == sorted(order) == sorted([*range(21)] * 2)


@pytest.fixture(scope="module")
def by_two(tmp_path_factory, tiny):
    """What two processes made of everything in `trained_by_two.py`: their folder and what they printed."""
    folder = tmp_path_factory.mktemp("two")
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *LAUNCH, str(SCRIPT), str(tiny), str(folder), json.dumps(ROWS), json.dumps(PAIRS)],
        env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return folder, done


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["sft", "dpo"])
def test_two_processes_train_what_one_does(by_two, lesson, tmp_path, stage):
    """SFT over rows that fill no whole round, and DPO after it: the weights of one process but for rounding."""
    lesson.sft(tmp_path, **ROWS)
    if stage == "dpo":
        lesson.dpo(tmp_path, tmp_path, **PAIRS)
    assert list((by_two[0] / stage).glob("checkpoint-*/rng_state_1.pth"))
    assert apart(tmp_path / stage, by_two[0] / stage) < ROUNDING


@pytest.mark.slow
def test_two_processes_go_on_where_they_were_killed(by_two):
    """Bitwise as if they had not been."""
    assert apart(by_two[0] / "sft", by_two[0] / "killed" / "sft") == 0


@pytest.mark.slow
def test_a_broken_loss_ends_both(by_two):
    """The second stops where the first does, and is there for the next stage."""
    assert "the loss stopped being a number" in (by_two[0] / "broken.txt").read_text()


@pytest.mark.slow
def test_the_command_trains_in_two_processes(by_two):
    """`kb train`: each line is said once, the watch looks once, and the run is registered."""
    folder, done = by_two
    assert done.stdout.count("run both: ") == 1
    assert "in each of 2 processes" in done.stderr
    assert (folder / "kb" / "runs" / "both" / "manifest.json").exists()
    looks = [json.loads(line)["step"] for line in (folder / "kb/runs/both/sft/watch.jsonl").read_text().splitlines()]
    assert looks == [0, 1, 2]


def apart(stage, other):
    """The largest difference between the weights of two adapters."""
    from safetensors.torch import load_file

    one, two = (load_file(folder / "adapter" / "adapter_model.safetensors") for folder in (stage, other))
    assert one.keys() == two.keys()
    return max(float((one[name] - two[name]).abs().max()) for name in one)
