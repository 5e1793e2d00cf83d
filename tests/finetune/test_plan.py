"""What a plan picks for a card, what it says, and what it refuses."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from kb.errors import KBError
from kb.finetune.batches import Example
from kb.finetune.cards import CARDS, Card
from kb.finetune.config import TrainConfig
from kb.finetune.data import Row
from kb.finetune.job import Job
from kb.finetune.memory import SAFETY, ModelShape
from kb.finetune.plan import make_plan, settled
from kb.finetune.room import Room
from kb.finetune.sizes import Calibration, Sizes, Tokens, calibrate, pick_room
from kb.llm import user
from kb.llm.base import ModelConfig
from kb.store import Store

QWEN3_8B = ModelShape(36, 4096, 12288, 4096, 1024, 151936, False)
SIZES = Sizes(QWEN3_8B, QWEN3_8B.adapter(64), False, 16, True, 2, False, 100, 1024, 0, 1024)
EIGHT_B = SimpleNamespace(
    num_hidden_layers=36, hidden_size=4096, intermediate_size=12288, num_attention_heads=32, num_key_value_heads=8,
    head_dim=128, vocab_size=151936, tie_word_embeddings=False,
)  # fmt: skip
SMALL = Card("small", 8.0, 50.0)
SLOW = Card("a slow CPU", 64.0, 0.0, cpu=True)


@pytest.fixture
def store(tmp_path):
    """A store of its own."""
    store = Store(tmp_path / "kb.db")
    yield store
    store.close()


def a_plan(store, card, config=EIGHT_B, length=1024, rows=64, four_bit=True, reads=0, **settings):
    """The plan for rows of one length, a quarter of each trained."""
    kinds = ["short", "短"] * (rows // 2)
    made = tuple(Row(user("question"), "answer", kind, "pair") for kind in kinds)
    job = Job("mine", Path("runs/mine"), Path("m"), "id", ModelConfig("qwen", load_in_4bit=four_bit),
              TrainConfig(**settings), made, ())  # fmt: skip
    examples = tuple(Example((1,) * length, length // 4) for _ in made)
    return job, make_plan(job, Tokens(examples, tuple(kinds), config, reads), store, card)


@pytest.mark.parametrize(
    ("gib", "micro", "checkpointing"),
    [(300, 8, False), (79, 4, False), (25, 1, False), (20, 8, True), (14, 2, True), (1, 1, True)],
)
def test_checkpointing_is_turned_on_before_nothing_fits_and_not_earlier(gib, micro, checkpointing):
    """The largest micro-batch without checkpointing, then the largest with it; where none fits, the smallest."""
    assert pick_room(TrainConfig(), SIZES, gib, Calibration()) == Room(micro, micro, checkpointing)


@pytest.mark.parametrize(
    ("longest", "batch", "micro"), [(2048, 16, 4), (50, 16, 8), (50, 1, 1), (50, 7, 1), (9000, 4, 1)]
)
def test_more_rows_than_are_of_use_do_not_go_together(longest, batch, micro):
    """Up to 8,192 tokens, beyond which it is no faster, and half a step, so that a step has short and long rows."""
    room = pick_room(TrainConfig(batch_size=batch), replace(SIZES, longest=longest), 1000, Calibration())
    assert room == Room(micro, micro, False)


@pytest.mark.parametrize(("longest", "settings", "order", "micro"), [
    (300, {}, 8, 8), (800, {"micro_batch": 16}, 16, 8), (3000, {"micro_batch": 8}, 8, 2), (9000, {}, 1, 1),
])  # fmt: skip
def test_a_cpu_holds_fewer_of_the_rows_that_go_together(longest, settings, order, micro):
    """Up to 8,192 tokens at once; the order of rows, and so what is learnt, is that of a GPU."""
    sizes = replace(SIZES, longest=longest, scored=longest, cpu=True)
    assert pick_room(TrainConfig(**settings), sizes, 1000, Calibration()) == Room(order, micro, False)
    order_of_gpu = pick_room(TrainConfig(**settings), replace(sizes, cpu=False), 1000, Calibration()).order
    assert order_of_gpu == order


def test_dpo_holds_what_goes_together_where_sft_holds_less():
    """Its estimate follows from the order of rows, not from how many of them SFT has at once."""
    both = replace(SIZES, closed=1024)
    assert both.peak(1, True, 8) == both.peak(8, True)
    assert both.peak(1, True, 8).total > both.peak(1, True).total


def test_what_is_picked_fits_with_its_margin_and_the_next_larger_does_not():
    """On every card of the table."""
    for card in CARDS.values():
        room = pick_room(TrainConfig(), SIZES, card.gib, Calibration())
        assert SIZES.peak(room.micro, room.checkpointing).total * SAFETY <= card.gib
        if room.micro < 8:
            assert SIZES.peak(2 * room.micro, room.checkpointing).total * SAFETY > card.gib


def test_a_measured_step_changes_what_is_picked():
    """Where activations took twice the formula, fewer rows go together."""
    assert pick_room(TrainConfig(), SIZES, 60, Calibration()) == Room(4, 4, False)
    assert pick_room(TrainConfig(), SIZES, 60, Calibration(memory=2.0)) == Room(2, 2, False)


def test_settings_are_kept():
    """What the user sets is not picked: a micro-batch that divides the batch, checkpointing as it says."""
    config = TrainConfig(batch_size=12, micro_batch=5)
    assert pick_room(config, SIZES, 300, Calibration()) == Room(4, 4, False)
    assert pick_room(replace(config, gradient_checkpointing=True), SIZES, 300, Calibration()) == Room(4, 4, True)
    assert pick_room(replace(config, gradient_checkpointing=False), SIZES, 1, Calibration()) == Room(4, 4, False)
    unknown = pick_room(TrainConfig(), None, 300, Calibration())
    assert unknown == Room(1, 1, True), "an architecture without a formula gets the smallest"


def test_dpo_counts_where_it_is_the_larger_stage():
    """Long prompts without passages, twice, with a copy of the adapter."""
    both = replace(SIZES, closed=1024)
    assert both.peak(2, True).total > SIZES.peak(2, True).total
    assert replace(SIZES, closed=16).peak(2, True) == SIZES.peak(2, True)


def test_the_effective_batch_stays_and_the_job_gets_what_was_picked(store):
    """The plan's settings are the job's, and its SFT is the same stage as before."""
    job, made = a_plan(store, CARDS["4090"])
    after = settled(job, made.room)
    assert (after.config.micro_batch, after.config.gradient_checkpointing) == (made.room.micro, made.room.checkpointing)
    assert after.config.batch_size == job.config.batch_size
    assert after.first_key == job.first_key


def test_a_plan_says_what_will_be_trained(store):
    """Model, rows and tokens by kind, masked share, steps, picks, parameters, components, time, in this order."""
    _, made = a_plan(store, CARDS["4090"])
    assert made.lines() == [
        "model: qwen, 8.2 B parameters, in 4 bits",
        "data: 64 rows (32 short, 32 短) of 65536 tokens, 75% of them prompt, which is not trained",
        "tokens: 32768 short, 32768 短; longest row 1024",
        "sft: 3 epochs = 12 steps of 16 rows, 16384 tokens a step, 0% of them padding",
        "on 4090: micro-batches of 8 rows, 2 for a step, with gradient checkpointing",
        "trained: 174.6 M parameters; a checkpoint takes 2.0 GiB",
        "memory: 14.5 of 23.6 GiB estimated (weights 5.7, trained 3.3, kept 2.2, live 1.7, cast 0.2, loss 0.5,"
        " overhead 0.9)",
        "time: about 2 min for sft, at 35% of the card's 165 TFLOP/s",
    ]
    assert made.warnings == []
    assert made.document()["fits"] is True


def test_a_plan_of_distillation_counts_the_teacher(store):
    """Its own stage by name, what the teacher reads and writes, no time; measured apart from SFT."""
    calibrate(store, CARDS["4090"], True, Calibration(memory=1.3))
    _, sft = a_plan(store, CARDS["4090"], micro_batch=4)
    _, made = a_plan(store, CARDS["4090"], reads=200, stages=("distil",), micro_batch=4, distil_tokens=128)
    said = made.lines()
    assert "longest row 1024, answers as long as they may get; its teacher reads up to 200" in said[2]
    assert said[3].startswith("distil: 3 epochs = 12 steps of 16 rows")
    assert said[-1] == "time: not estimated: it hangs on how long the teacher's answers get"
    assert made.memory.loss == 28 * 4 * 128 * 151936 / (1 << 30)
    assert made.calibration == Calibration()
    calibrate(store, CARDS["4090"], True, Calibration(memory=0.5), "distil")
    assert a_plan(store, CARDS["4090"], reads=200, stages=("distil",))[1].calibration.memory == 0.5
    many = a_plan(store, CARDS["4090"], reads=30000, stages=("distil",), micro_batch=1)[1]
    assert many.memory.loss == 0, "the answers of a whole step are written at once, which takes most then"
    assert "a lower batch_size" in many.cures and "batch_size" not in sft.cures


def test_time_follows_from_the_operations(store):
    """43 G operations for each of all tokens, 4 G more for the logits of the quarter that is trained, at 35% of the
    peak; a measured rate replaces that.
    """
    _, made = a_plan(store, CARDS["4090"])
    assert made.seconds == pytest.approx(12 * 16384 * (43.04e9 + 3.73e9 / 4) / (0.35 * 165.2e12), rel=0.01)
    calibrate(store, CARDS["4090"], True, Calibration(flops=1e13))
    _, again = a_plan(store, CARDS["4090"])
    assert again.seconds == pytest.approx(again.flops / 1e13)
    assert again.lines()[-1].endswith("for sft, at the speed of a real step here")


def test_what_was_measured_is_of_one_device_and_quantisation(store):
    """The ratio corrects plans of the same card in 4 bits, narrows their margin, and is said."""
    calibrate(store, CARDS["4090"], True, Calibration(memory=1.1))
    calibrate(store, CARDS["4090"], True, Calibration(flops=5.0))
    _, made = a_plan(store, CARDS["4090"])
    assert made.calibration == Calibration(1.1, 5.0), "what was not measured this time stays"
    assert "activations as a real step had them here, 1.10 of the formula" in made.lines()[-2]
    assert made.margin < SAFETY
    for card, four_bit in ((CARDS["3090"], True), (CARDS["4090"], False)):
        assert a_plan(store, card, four_bit=four_bit)[1].calibration == Calibration()


def test_what_cannot_fit_is_refused_in_one_line_with_cures(store):
    """One row with checkpointing on a card of 8 GiB, by more than the estimate's error."""
    _, made = a_plan(store, SMALL)
    assert made.room == Room(1, 1, True)
    said = r"^mine on small: this does not fit: .* against 8.0 GiB. Under \[train\], lower rank, .*smaller model\.$"
    with pytest.raises(KBError, match=said) as caught:
        made.refuse()
    assert caught.value.exit_code == 1
    assert "\n" not in str(caught.value)


def test_what_may_fit_all_the_same_is_a_warning(store):
    """Within the error of the estimate, or where the user's own settings leave something to be halved."""
    need = a_plan(store, SMALL)[1].memory.total
    for card, settings in ((Card("tight", need / 1.1, 50.0), {}), (SMALL, {"micro_batch": 4})):
        _, made = a_plan(store, card, **settings)
        made.refuse()
        assert made.warnings[0].startswith("this may not fit: ")
    _, plain = a_plan(store, Card("small", 17.0, 50.0), four_bit=False)
    assert "Set load_in_4bit = true under [model]; or under [train], lower rank" in plain.warnings[0]


def test_a_large_model_on_a_cpu_is_warned_of_and_not_refused(store):
    """The time is that of a measured step; before there is one, the plan says when it will be known."""
    _, made = a_plan(store, SLOW)
    made.refuse()
    assert "a model of 8.2 B parameters is slow on a CPU" in made.warnings[0]
    assert made.warnings[0].endswith("time: said after the first step, which is timed")
    assert made.seconds is None
    calibrate(store, SLOW, True, Calibration(flops=1e11))
    _, again = a_plan(store, SLOW)
    assert again.warnings[0].endswith("time: about 16.3 h for sft, at the speed of a real step here")


def test_an_architecture_without_a_formula_has_a_plan_without_figures(store):
    """Experts: rows and steps are said, memory and time are not, and nothing is refused."""
    _, made = a_plan(store, CARDS["4090"], SimpleNamespace(num_experts=8))
    assert "memory: no estimate for this architecture" in made.lines()
    assert (made.memory, made.seconds, made.warnings) == (None, None, [])
    made.refuse()
