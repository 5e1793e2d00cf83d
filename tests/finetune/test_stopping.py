"""Which look is kept and when a stage ends: made-up histories of eight facts and more."""

import json
import random
from dataclasses import replace
from itertools import pairwise

import pytest

from kb.finetune.config import TrainConfig
from kb.finetune.stopping import LOOKS, Look, Rules, kept, look_steps, read_looks, standard_error, stop_reason, summary

RULES = Rules()
LATER = Rules(teaches=False)


def look(step, *facts, loss=0.0, trained=1.0):
    """A look at facts of these shares, with this general loss."""
    counts = {"facts": len(facts)}
    mean = sum(facts) / len(facts)
    return Look(step, mean, trained, None, None, 1.0 - loss, 0.0, 1.0, 3.0, tuple(map(float, facts)), counts)


def history(*shares, facts=20, losses=()):
    """Looks at steps 0, 10, 20, ...: so many of the facts known at each."""
    losses = [*losses, *[0.0] * (len(shares) - len(losses))]
    return [
        look(10 * place, *[1] * known, *[0] * (facts - known), loss=loss)
        for place, (known, loss) in enumerate(zip(shares, losses, strict=True))
    ]


def test_what_knows_more_takes_the_place():
    """Knowledge that rises beyond its error is kept, whatever the general loss."""
    assert kept(history(0, 4, 12, 19, losses=(0, 0, 0, 0.4)), RULES).step == 30


def test_of_looks_that_do_not_differ_the_last_is_kept():
    """One fact of twenty is within the error; the last one has seen most."""
    assert kept(history(0, 10, 19, 20, 19), RULES).step == 40


def test_what_has_fallen_is_not_kept():
    """A fall beyond a standard error leaves the one before it, also where it comes in small steps."""
    assert kept(history(0, 10, 20, 14), RULES).step == 20
    # One fact less at each look is a tie with the kept one; four less than the highest is none.
    assert kept(history(0, 20, 19, 18, 17, 16), RULES).step < 40


def test_a_tie_goes_to_the_earlier_where_the_later_has_lost_more():
    """More than a point of general loss decides between looks that know the same; less does not."""
    assert kept(history(0, 20, 20, losses=(0, 0.01, 0.03)), RULES).step == 10
    assert kept(history(0, 20, 20, losses=(0, 0.01, 0.019)), RULES).step == 20


def test_where_the_adapter_is_scaled_afterwards_the_later_is_kept_all_the_same():
    """What it has lost comes back then; it is known more surely. What knows less is still not kept."""
    rules = Rules(rescales=True)
    assert kept(history(0, 20, 20, losses=(0, 0.01, 0.03)), rules).step == 20
    assert kept(history(0, 20, 12, losses=(0, 0.01, 0.0)), rules).step == 10


def test_a_stage_that_has_taught_nothing_keeps_its_last_look():
    """There is nothing to choose by: the general loss alone would choose the adapter that has learnt least."""
    assert kept(history(2, 1, 2, 0, losses=(0, 0, 0.1, 0.3)), RULES).step == 30


def test_the_untrained_adapter_is_no_choice_for_the_stage_that_teaches():
    """A base that knows more than it does after is no adapter; a later stage may end as it began."""
    worse = history(20, 10, 10)
    assert kept(worse[:1], RULES) is None
    assert kept(worse, RULES).step == 20
    assert kept(worse, LATER).step == 0


def test_a_later_stage_is_kept_unless_it_has_cost_knowledge():
    """Three facts of twenty fewer may be chance, and its general loss is the price of what it is there for."""
    assert kept(history(20, 19, 17, losses=(0, 0.02, 0.04)), LATER).step == 20
    assert kept(history(20, 19, 12), LATER).step == 10


def test_one_adapter_on_disk_is_enough():
    """Of any history what is kept is the last look or what was kept before it, in every kind of stage."""
    drawn = random.Random(1)
    for _ in range(60):
        many = drawn.randint(2, 10)
        looks = history(*(drawn.choice((0, 0, 1, 2, drawn.randint(0, 20))) for _ in range(many)),
                        losses=[drawn.choice((0, 0.02, 0.2)) for _ in range(many)])  # fmt: skip
        for rules in (RULES, LATER):
            steps = [getattr(kept(looks[: end + 1], rules), "step", None) for end in range(many)]
            assert all(now in (before, 10 * end) for end, (before, now) in enumerate(pairwise(steps), 1))


def test_few_facts_decide_nothing():
    """With seven facts the last look is kept and no stage ends."""
    falls = history(0, 7, 0, 0, 0, 0, facts=7)
    assert kept(falls, RULES).step == 50
    assert stop_reason(falls, RULES) == ""
    assert stop_reason(history(0, 8, 0, 0, facts=8), RULES) != ""


def test_a_fall_ends_it_at_the_second_look_in_a_row():
    """One look may be a bad moment; two below the highest by more than twice the error are none."""
    assert stop_reason(history(0, 20, 10), RULES) == ""
    assert stop_reason(history(0, 20, 10, 10), RULES) == ("held-out knowledge has fallen from 100% at step 10 to 50%")
    assert stop_reason(history(0, 20, 10, 19), RULES) == ""
    assert stop_reason(history(20, 10, 10), LATER).startswith("held-out knowledge has fallen from 100% at step 0")


def test_knowledge_that_stands_still_ends_the_stage_that_teaches():
    """After `patience` looks without more, one fact being chance; never before anything was taught, nor in a later
    stage, nor at 0.
    """
    assert stop_reason(history(0, 18, 18, 17), RULES) == ""
    assert stop_reason(history(0, 18, 18, 17, 18), RULES) == (
        "held-out knowledge has not risen beyond chance for 3 looks: 90% at step 10, 90% at most"
    )
    assert stop_reason(history(0, 18, 18, 17, 19), RULES) != ""
    assert stop_reason(history(0, 15, 16, 17, 18), RULES) == ""
    assert stop_reason(history(5, 5, 5, 5, 5, 5), RULES) == ""
    assert stop_reason(history(0, 3, 2, 3, 3, 2), RULES) == ""
    assert stop_reason(history(0, 18, 18, 18, 18), LATER) == ""
    assert stop_reason(history(0, 18, 18, 18, 18), Rules(patience=0)) == ""


def test_general_loss_over_its_margin_ends_it():
    """At two looks in a row, and where there is a margin; a transient of one look does not."""
    rising = history(0, 5, 9, losses=(0, 0.2, 0.08))
    assert stop_reason(rising, RULES) == "the general loss is 8.0 points, above 5.0 points"
    assert stop_reason(history(0, 5, 9, losses=(0, 0.2, 0.05)), RULES) == ""
    assert stop_reason(rising, Rules(general_margin=0)) == ""
    assert stop_reason(rising, Rules(early_stop=False)) == ""


def test_facts_are_the_clusters():
    """The error is that of paired differences of facts: zero where every fact changes alike."""
    one, other = look(1, 0, 0.5, 1, 0.5), look(2, 0.5, 1, 1, 0.5)
    assert standard_error(one, other) == pytest.approx((0.25**2 * 4 / 3) ** 0.5 / 2)
    assert standard_error(one, look(2, 0, 0.5, 1, 0.5)) == 0


@pytest.mark.parametrize(("steps", "times", "expected"), [
    (100, 4, {25, 50, 75, 100}), (3, 8, {1, 2, 3}), (1, 8, {1}), (10, 3, {3, 7, 10}),
])  # fmt: skip
def test_looks_are_at_even_distances(steps, times, expected):
    """As often as asked, or after every step of a stage that has fewer; always at the end, never twice."""
    assert look_steps(steps, times) == expected


def test_looks_are_read_up_to_a_torn_line(tmp_path):
    """What was written comes back the same; a line that a kill has cut, and all after it, does not."""
    looks = history(0, 5, 9)
    lines = [json.dumps(one.row()) for one in looks]
    (tmp_path / LOOKS).write_text("\n".join([*lines[:2], lines[2][:40], lines[2]]))
    assert read_looks(tmp_path) == looks[:2]
    assert read_looks(tmp_path / "elsewhere") == []


def test_the_summary_says_what_was_kept_what_it_cost_and_why_it_ended():
    """First, best and last; seconds and share; steps saved and the reason; too few facts where there are."""
    looks = history(0, 20, 10, 10)
    lines = summary("sft", looks, RULES, 90)
    assert lines[0] == (
        "watch, sft: held-out 0% before, 100% at step 10 (kept), 50% at the end (step 30 of 90; 20 facts)"
    )
    assert lines[1] == "  kept: held-out 100%, trained 100%, gap 0.0 points, general loss 0.0 points, KL 0.000"
    assert lines[2] == "  4 looks took 4 s, 25% of the time of the stage"
    assert lines[3] == "  ended 60 steps early: held-out knowledge has fallen from 100% at step 10 to 50%"
    assert "fewer than 8" in summary("sft", history(0, 2, facts=3), RULES, 10)[-1]
    assert summary("sft", [], RULES, 10) == []


def test_the_first_stage_teaches():
    """Whatever it is called."""
    config = TrainConfig(patience=2, general_margin=0.1)
    assert Rules.of(config, "sft") == Rules(True, 2, 0.1, teaches=True, rescales=True)
    assert not Rules.of(replace(config, dora=True), "sft").rescales
    assert not Rules.of(config, "dpo").teaches
    assert not Rules.of(config, "dpo").rescales
