"""Answers to verdicts. The comparison itself is `kb.text.match.judge`, which filters and DPO use too, or `followed`."""

from __future__ import annotations

from dataclasses import replace

from kb.evaluate.arms import Arm, Asked
from kb.evaluate.following import FOLLOWING, followed
from kb.llm import Result
from kb.records import Probe, Score
from kb.text.match import Judgement, judge
from kb.text.residue import is_open

CUT = "cut off at the token limit"
NO_ANSWER = "no answer: "
JUDGE = "judge"
"""The rule of what a model decided (`judging`)."""


def score(arm: Arm, asked: Asked, result: Result[str]) -> Score:
    """The verdict on one answer.

    A request that failed to the end is unparsed, never wrong, with the reason as the rule; so is an answer that was cut
    off before it was right, and one to an instruction that was cut off at all. Where not knowing is right (no gold),
    declining is correct and anything else wrong.
    """
    done = result.completion
    if result.value is None:
        found = Judgement("unparsed", f"{NO_ANSWER}{result.reason}")
    else:
        found = _judged(asked.probe, result.value, done.finish == "length")
    return Score(
        asked.probe.id, arm.name, result.value or done.text, found.verdict, found.rule, asked.chunks,
        done.prompt_tokens + done.completion_tokens, done.seconds,
    )  # fmt: skip


def judged_again(probe: Probe, before: Score) -> Score:
    """A stored score with the verdict of the present scorer.

    Whether an answer was cut off is known of those that were unparsed for it; one that was right all the same counts as
    whole. What a judge decided stays where no rule decides it by now.
    """
    if before.rule.startswith(NO_ANSWER):
        return before
    found = _judged(probe, before.answer, before.rule == CUT)
    if before.rule == JUDGE and is_open(before.answer, probe.gold, probe.answer_type, found):
        return before
    return replace(before, verdict=found.verdict, rule=found.rule)


def compared(probe: Probe, answer: str) -> Judgement:
    """What the rules say of a whole answer: of one to an instruction, whether it was followed."""
    if probe.kind == FOLLOWING:
        return followed(answer, probe.gold)
    return judge(answer, probe.gold, probe.answer_type, probe.aliases)


def _judged(probe: Probe, answer: str, is_cut: bool) -> Judgement:
    found = compared(probe, answer)
    # Whether an answer that goes on keeps to its form cannot be seen.
    open_ended = found.verdict == "wrong" or probe.kind == FOLLOWING
    return Judgement("unparsed", CUT) if is_cut and open_ended else found
