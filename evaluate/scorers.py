"""Answers to verdicts. The comparison itself is `kb.text.match.judge`, which filters and DPO use too."""

from __future__ import annotations

from kb.evaluate.arms import Arm, Asked
from kb.llm import Result
from kb.records import Score
from kb.text.match import judge

CUT = "cut off at the token limit"


def score(arm: Arm, asked: Asked, result: Result[str]) -> Score:
    """The verdict on one answer.

    A request that failed to the end is unparsed, never wrong, with the reason as the rule; so is an answer that was cut
    off before it was right. Where not knowing is right (no gold), declining is correct and anything else wrong.
    """
    done = result.completion
    if result.value is None:
        verdict, rule = "unparsed", f"no answer: {result.reason}"
    else:
        found = judge(result.value, asked.probe.gold, asked.probe.answer_type, asked.probe.aliases)
        verdict, rule = found.verdict, found.rule
        if done.finish == "length" and verdict == "wrong":
            verdict, rule = "unparsed", CUT
    return Score(
        asked.probe.id, arm.name, result.value or done.text, verdict, rule, asked.chunks,
        done.prompt_tokens + done.completion_tokens, done.seconds,
    )  # fmt: skip
