"""The words of the verdict: who is better, what was not detected, what was lost, what to do next."""

import re

import pytest

from kb.evaluate.results import Check
from kb.evaluate.summary import summarise
from kb.records import Probe, Score

RIGHT, WRONG, GARBLED = "correct", "wrong", "unparsed"


def probes(facts: int, kind: str = "held_out") -> list[Probe]:
    return [Probe(f"{kind}-{n:03d}", f"f{n:03d}", kind, f"Question {n}?", "4", "number", "en") for n in range(facts)]


def scores(asked: list[Probe], arm: str, verdicts: str | list[str]) -> list[Score]:
    """One verdict for all, or one each."""
    given = [verdicts] * len(asked) if isinstance(verdicts, str) else verdicts
    return [Score(probe.id, arm, "4", verdict, "typed: number") for probe, verdict in zip(asked, given, strict=True)]


def test_the_better_arm_is_named_with_its_interval() -> None:
    """RAG ahead on 40 facts: both languages say who, how much, how sure, on how many facts."""
    asked = probes(40)
    given = scores(asked, "rag", [RIGHT] * 36 + [WRONG] * 4) + scores(asked, "tuned", [RIGHT] * 16 + [WRONG] * 24)
    report = summarise(asked, given)
    assert re.fullmatch(
        r"RAG answers 90\.0% of the held-out questions right, the tuned model 40\.0%: 50\.0 points more"
        r" \(95% interval 3\d\.\d to 6\d\.\d, p<\.001, 40 facts\)\.",
        report.verdict.en,
    )
    assert report.verdict.zh.startswith(
        "RAG 答对了 90.0% 的留出问题，微调模型答对 40.0%：高出 50.0 个百分点（95% 区间 "
    )
    assert "same" not in report.verdict.en


def test_no_difference_is_never_called_the_same() -> None:
    """Arms that cannot be told apart: the sentence has the number of facts and the smallest detectable difference."""
    asked = probes(40)
    verdicts = [RIGHT, WRONG] * 20
    given = scores(asked, "rag", verdicts) + scores(asked, "tuned", [WRONG, RIGHT, *verdicts[2:]])
    report = summarise(asked, given)
    assert re.fullmatch(
        r"No difference detected between the tuned model \(50\.0%\) and RAG \(50\.0%\) at n = 40 facts;"
        r" the smallest detectable difference is \d+\.\d points\.",
        report.verdict.en,
    )
    assert report.verdict.zh.startswith(
        "在 n = 40 个事实上未检出微调模型（50.0%）与 RAG（50.0%）的差异；可检出的最小差异为 "
    )


def test_what_was_not_learned_and_what_was_lost_is_said() -> None:
    """A tuned model no better than the base that forgot what it knew gets both remarks, and a next step."""
    asked, known = probes(40), probes(40, "known")
    given = [
        *scores(asked, "base", WRONG), *scores(asked, "rag", RIGHT), *scores(asked, "tuned", WRONG),
        *scores(known, "base", RIGHT), *scores(known, "tuned", WRONG),
    ]  # fmt: skip
    report = summarise([*asked, *known], given)
    said = [text.en for text in report.remarks]
    assert said[0].startswith("Tuning taught nothing that can be detected: 0.0 points against the base")
    assert said[1] == "Tuning cost: world facts 100.0% → 0.0%."
    assert report.next_step.en.startswith("See whether training converged")


def test_tuned_rag_is_compared_with_the_better_of_its_parts() -> None:
    """Tuned beats RAG, tuned+RAG beats tuned: the remark names the tuned model, not RAG."""
    asked = probes(60)
    given = [
        *scores(asked, "rag", [RIGHT] * 20 + [WRONG] * 40),
        *scores(asked, "tuned", [RIGHT] * 40 + [WRONG] * 20),
        *scores(asked, "tuned_rag", RIGHT),
    ]
    report = summarise(asked, given)
    assert [text.en for text in report.remarks] == [
        "Tuned+RAG reaches 100.0%, 33.3 points over the tuned model alone (p<.001)."
    ]
    assert [text.zh for text in report.remarks] == ["微调+RAG 达到 100.0%，比单用微调模型高 33.3 个百分点（p<.001）。"]


def test_few_facts_unparsed_answers_and_failed_checks_are_warned_of() -> None:
    """Below 30 facts, above 5% unparsed, a check that failed: a warning each, in both languages, the check first."""
    asked = probes(10)
    checks = [
        Check("no probe is a trained question", False, "3 leaked of 10 probes"),
        Check("models differ", True, "yes"),
    ]
    report = summarise(asked, scores(asked, "base", [GARBLED] * 2 + [WRONG] * 8), checks=checks)
    assert [warning.en for warning in report.warnings] == [
        "Check failed: no probe is a trained question (3 leaked of 10 probes).",
        "Only 10 facts: below 30, intervals and p values are rough.",
        "20.0% of the answers of the base model could not be parsed: they count as not right.",
    ]
    assert report.warnings[1].zh == "只有 10 个事实：少于 30 个时，区间和 p 值都很粗略。"
    assert report.next_step.en == "Clear the failed check first; until then the figures mean nothing."


def test_thirty_facts_are_enough_for_no_warning() -> None:
    """The border itself is not warned of."""
    asked = probes(30)
    assert summarise(asked, scores(asked, "base", RIGHT)).warnings == ()


def test_better_guessing_is_warned_of() -> None:
    """Right more often on what was never trained than the base: said in both languages; not where that may be chance,
    and not of other kinds that are measured apart.
    """
    asked = probes(40)

    def warned(right: int, kind: str = "placebo") -> list[str]:
        apart = probes(40, kind)
        given = [
            *scores(asked, "base", WRONG), *scores(asked, "tuned", RIGHT), *scores(apart, "base", WRONG),
            *scores(apart, "tuned", [RIGHT] * right + [WRONG] * (40 - right)),
        ]  # fmt: skip
        return [f"{text.en} {text.zh}" for text in summarise([*asked, *apart], given).warnings]

    (said,) = warned(20)
    assert said.startswith(
        "On 40 facts of documents that were never trained, tuning raised what is right from 0.0% to 50.0% (p<.001):"
    )
    assert "在从未训练过的文档的 40 个事实上，微调后答对比例也从 0.0% 升至 50.0%（p<.001）" in said
    assert warned(3) == []
    assert warned(40, "text_only") == []


@pytest.mark.parametrize(
    ("missed", "said"),
    [
        (2, "Not all was learnt: further rows for 2 facts"),
        (8, "Trained wordings do 20.0 points better"),
        (0, "Highest on these facts: "),
    ],
)
def test_what_was_not_learnt_is_to_be_taught_by_further_rows(missed: int, said: str) -> None:
    """Few facts by number, many as a gap between wordings; both name the command. Nothing of it where all is learnt."""
    asked, taught = probes(40), probes(40, "trained")
    given = [*scores(asked, "base", WRONG), *scores(taught, "base", WRONG), *scores(taught, "tuned", RIGHT)]
    given += scores(asked, "tuned", [WRONG] * missed + [RIGHT] * (40 - missed))
    step = summarise([*asked, *taught], given).next_step
    assert step.en.startswith(said)
    assert ("kb generate-qa --for-failures" in step.en) == ("kb generate-qa --for-failures" in step.zh) == bool(missed)
