"""Probes and scores to a report: small cases by hand, missing arms, odd input."""

import random
import time
from dataclasses import replace

import pytest

from kb.evaluate.results import Interval
from kb.evaluate.summary import summarise
from kb.records import Probe, Score

RIGHT, WRONG, SILENT, GARBLED = "correct", "wrong", "abstained", "unparsed"


def probes(facts: int, wordings: int = 2, kind: str = "held_out", language: str = "en") -> list[Probe]:
    return [
        Probe(f"{kind}-{fact:03d}-{wording}", f"f{fact:03d}", kind, f"Question {fact}?", "4", "number", language)
        for fact in range(facts)
        for wording in range(wordings)
    ]


def scores(asked: list[Probe], arm: str, verdicts: str | list[str]) -> list[Score]:
    """One verdict for all, or one each."""
    given = [verdicts] * len(asked) if isinstance(verdicts, str) else verdicts
    return [Score(probe.id, arm, "4", verdict, "typed: number") for probe, verdict in zip(asked, given, strict=True)]


def test_four_rates_by_hand() -> None:
    """Two facts with two wordings: right and wrong, silent and garbled; the four rates are .25 each and add up to 1."""
    asked = probes(2)
    arm = summarise(asked, scores(asked, "base", [RIGHT, WRONG, SILENT, GARBLED])).arms[0]
    assert (arm.probes, arm.facts) == (4, 2)
    assert (arm.correct.value, arm.wrong, arm.abstained, arm.unparsed) == (0.25, 0.25, 0.25, 0.25)
    assert arm.all_right.value == 0.0


def test_facts_weigh_the_same_however_many_wordings_they_have() -> None:
    """A fact with one wording right and a fact with three wrong make one half, not one quarter."""
    asked = [*probes(1, 1), *(replace(probe, fact_id="other", id=f"o{probe.id}") for probe in probes(1, 3))]
    arm = summarise(asked, scores(asked, "base", [RIGHT, WRONG, WRONG, WRONG])).arms[0]
    assert (arm.correct.value, arm.wrong, arm.all_right.value) == (0.5, 0.5, 0.5)


def test_arms_are_compared_on_the_probes_both_answered() -> None:
    """Tuned has no answer to half of the probes: the difference is over the other half, and a warning says so."""
    asked = probes(40)
    some = asked[::2]
    given = scores(asked, "rag", [RIGHT, WRONG] * 40) + scores(some, "tuned", RIGHT)
    report = summarise(asked, given)
    compared = report.comparison("tuned", "rag")
    assert compared is not None
    assert (compared.facts, compared.difference.value) == (40, 0.0)
    assert [warning.en for warning in report.warnings] == [
        "The tuned model answered 40 of 80 held-out questions; the rest is missing."
    ]


def test_gap_near_misses_and_rings_by_hand() -> None:
    """Trained minus held-out by fact; declined near misses; base against tuned on what the base knew."""
    held, trained, near, known = probes(2), probes(2, 1, "trained"), probes(4, 1, "near_miss"), probes(10, 1, "known")
    given = [
        *scores(held, "tuned", [RIGHT, WRONG, RIGHT, RIGHT]),
        *scores(held, "base", WRONG),
        *scores(trained, "tuned", RIGHT),
        *scores(near, "tuned", [RIGHT, WRONG, WRONG, WRONG]),
        *scores(near, "base", RIGHT),
        *scores(known, "base", RIGHT),
        *scores(known, "tuned", [RIGHT] * 2 + [WRONG] * 8),
    ]
    report = summarise([*held, *trained, *near, *known], given)
    tuned = report.arm("tuned")
    assert tuned is not None and tuned.trained and tuned.gap and tuned.near_miss
    assert (tuned.correct.value, tuned.trained.value, tuned.gap.value) == (0.75, 1.0, 0.25)
    assert tuned.near_miss.value == 0.25
    assert tuned.unanswerable is None
    assert [ring.name for ring in report.rings] == ["known", "near_miss"]
    ring = report.rings[0]
    assert (ring.base.value, ring.tuned.value, ring.difference.value) == (1.0, 0.2, -0.8)
    assert ring.p == 2 / 256
    assert ring.lost and not report.rings[1].lost


def test_unanswerable_questions_without_a_fact_are_clusters_of_their_own() -> None:
    """Twenty of them are twenty independent questions, not one."""
    held = probes(1)
    blank = [Probe(f"u{n}", "", "unanswerable", f"{n}?", "", "text", "en") for n in range(20)]
    arm = summarise([*held, *blank], scores(held, "base", WRONG) + scores(blank, "base", RIGHT)).arms[0]
    assert arm.unanswerable is not None
    assert arm.unanswerable.low > 0.8


def test_venn_and_majority_by_hand() -> None:
    """Exactly half of the wordings is no majority; the four groups add up to the facts."""
    asked = probes(4)
    rag = [RIGHT, RIGHT, RIGHT, RIGHT, RIGHT, WRONG, WRONG, WRONG]
    tuned = [RIGHT, RIGHT, WRONG, RIGHT, RIGHT, RIGHT, WRONG, WRONG]
    report = summarise(asked, scores(asked, "rag", rag) + scores(asked, "tuned", tuned))
    venn = report.venn
    assert venn is not None
    assert (venn.both, venn.only_rag, venn.only_tuned, venn.neither) == (1, 1, 1, 1)
    assert report.fact_rows[1].shares == {"rag": 1.0, "tuned": 0.5}


def test_retention_is_refused_where_rag_is_low() -> None:
    """R is a number where RAG answers enough, and None where it answers a fifth."""
    asked = probes(40, 1)
    good = scores(asked, "rag", [RIGHT] * 32 + [WRONG] * 8) + scores(asked, "tuned", [RIGHT] * 24 + [WRONG] * 16)
    low = scores(asked, "rag", [RIGHT] * 8 + [WRONG] * 32) + scores(asked, "tuned", [RIGHT] * 24 + [WRONG] * 16)
    retention = summarise(asked, good).retention
    assert retention is not None and retention.value == pytest.approx(0.75)
    assert summarise(asked, low).retention is None


def test_slices_by_language_type_and_document() -> None:
    """Each language is measured on its own probes; a dimension with a single value is left out."""
    asked = probes(4, 1) + [
        replace(probe, id=f"z{probe.id}", fact_id=f"z{probe.fact_id}", language="zh") for probe in probes(2, 1)
    ]
    report = summarise(
        asked, scores(asked, "base", [RIGHT, RIGHT, RIGHT, WRONG, WRONG, WRONG]), documents={"zf000": "手册"}
    )
    found = {
        (one.dimension, one.name): (one.facts, one.correct["base"].value)
        for one in report.slices
        if one.correct["base"]
    }
    assert found == {
        ("language", "en"): (4, 0.75),
        ("language", "zh"): (2, 0.0),
        ("document", ""): (5, 0.6),
        ("document", "手册"): (1, 0.0),
    }
    assert report.languages == {"en": 4 / 6, "zh": 2 / 6}


def test_what_the_base_did_not_know_is_a_slice_of_its_own() -> None:
    """A fact that was not measured stands apart."""
    asked, known = probes(4, 1), {"f000": "unknown", "f001": "unknown", "f002": "known"}
    report = summarise(asked, scores(asked, "tuned", [RIGHT, WRONG, RIGHT, WRONG]), known=known)
    found = {(one.dimension, one.name): one.correct["tuned"].value for one in report.slices if one.correct["tuned"]}
    assert found == {("known", "unknown"): 0.5, ("known", "known"): 1.0, ("known", ""): 0.0}


@pytest.mark.slow
def test_the_order_of_the_input_changes_nothing(sample) -> None:
    """Shuffled probes and scores give the same report, down to the last digit."""
    made = sample(20, 2)
    shuffled, answers = list(made.probes), list(made.scores)
    random.Random(1).shuffle(shuffled)
    random.Random(2).shuffle(answers)
    assert summarise(shuffled, answers, resamples=500) == summarise(made.probes, made.scores, resamples=500)


@pytest.mark.slow
def test_another_seed_moves_bounds_and_not_estimates(sample) -> None:
    """The seed is in the report and moves only what is resampled."""
    made = sample(30, 3)
    one, other = (summarise(made.probes, made.scores, seed=seed, resamples=500) for seed in (0, 1))
    assert [arm.correct for arm in one.arms] == [arm.correct for arm in other.arms]
    assert one.comparisons[0].difference.value == other.comparisons[0].difference.value
    assert one.comparisons[0].difference != other.comparisons[0].difference
    assert (one.seed, other.seed) == (0, 1)


@pytest.mark.slow
def test_fewer_resamples_give_a_rougher_interval_of_the_same_estimate(sample) -> None:
    """`resamples` reaches the bootstrap."""
    made = sample(30, 3)
    rough, fine = (summarise(made.probes, made.scores, resamples=count).comparisons[0] for count in (100, 1000))
    assert rough.difference.value == fine.difference.value
    assert rough.difference.low != fine.difference.low


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda given: given + given[:1], "has two scores"),
        (lambda given: [replace(given[0], probe_id="nowhere")], "nowhere, which is not among the probes"),
        (lambda given: [replace(given[0], verdict="maybe")], "'maybe' is no verdict"),
    ],
)
def test_scores_that_do_not_fit_are_refused(spoil, message: str) -> None:
    """A doubled, homeless or unknown score is an error, since it would bend every figure silently."""
    asked = probes(2)
    with pytest.raises(ValueError, match=message):
        summarise(asked, spoil(scores(asked, "base", RIGHT)))


def test_without_any_answer_the_report_says_so() -> None:
    """No scores, or only rings: no arms, no comparisons, and a verdict that claims nothing."""
    known = probes(5, 1, "known")
    for report in (summarise([], []), summarise(known, scores(known, "base", RIGHT))):
        assert (report.arms, report.comparisons, report.venn, report.facts) == ((), (), None, 0)
        assert report.verdict.en == "Nothing was measured: no held-out wording has an answer."


def test_without_a_tuned_model_rag_is_compared_with_the_base(sample) -> None:
    """Only base and RAG: no retention, Venn or rings, and the next step is to train."""
    made = sample(40, 2, ("base", "rag"))
    report = summarise(made.probes, made.scores, resamples=500)
    assert [(one.arm, one.against) for one in report.comparisons] == [("rag", "base")]
    assert (report.retention, report.venn, report.rings, report.gaps) == (None, None, (), ())
    assert report.verdict.en.startswith("RAG answers")
    assert report.next_step.en == "No tuned model was evaluated: kb train, then kb eval again."


def test_other_arms_are_kept_and_compared_with_the_tuned_model(sample) -> None:
    """An arm of another name comes last and is set against the tuned model, without one against the base."""
    made = sample(30, 2, ("zebra", "tuned", "base"))
    report = summarise(made.probes, made.scores, resamples=500)
    assert [arm.arm for arm in report.arms] == ["base", "tuned", "zebra"]
    assert ("zebra", "tuned") in [(one.arm, one.against) for one in report.comparisons]
    made = sample(30, 2, ("zebra", "base"))
    report = summarise(made.probes, made.scores, resamples=500)
    assert [(one.arm, one.against) for one in report.comparisons] == [("zebra", "base")]


def test_the_audit_counts_every_verdict_by_rule() -> None:
    """All kinds and arms, the most used rule first."""
    asked = probes(3, 1)
    given = [*scores(asked, "base", [RIGHT, RIGHT, WRONG]), Score(asked[0].id, "rag", "", GARBLED, "empty")]
    audit = summarise(asked, given).audit
    assert [(rule.rule, rule.total, rule.correct, rule.wrong, rule.unparsed) for rule in audit] == [
        ("typed: number", 3, 2, 1, 0), ("empty", 1, 0, 0, 1),
    ]  # fmt: skip


def test_costs_are_means_per_held_out_question() -> None:
    """Tokens and seconds of other kinds of probe do not count."""
    held, near = probes(2, 1), probes(1, 1, "near_miss")
    given = [
        Score(held[0].id, "rag", "4", RIGHT, "r", (), 100, 1.0),
        Score(held[1].id, "rag", "4", RIGHT, "r", (), 300, 2.0),
        Score(near[0].id, "rag", "", RIGHT, "r", (), 9000, 9.0),
    ]
    arm = summarise([*held, *near], given).arms[0]
    assert (arm.tokens, arm.seconds) == (200.0, 1.5)


def test_an_interval_excludes_a_point_outside_it() -> None:
    """The bounds themselves are inside."""
    assert Interval(0.2, 0.1, 0.3).excludes(0.0)
    assert not Interval(0.2, 0.0, 0.3).excludes(0.0)


@pytest.mark.slow
def test_a_large_evaluation_is_summarised_in_seconds(sample) -> None:
    """1,000 facts, 8 wordings, 7 arms, a thousand documents: under 10 seconds."""
    made = sample(1000, 8, ("base", "rag", "tuned", "tuned_rag", "oracle", "one", "two"))
    began = time.monotonic()
    report = summarise(made.probes, made.scores, documents={fact: fact for fact in made.statements})
    assert time.monotonic() - began < 10
    assert report.facts == 1000 and report.probes == 8000 and len(report.slices) == 1007


def test_what_is_measured_apart_is_no_part_of_the_main_figures() -> None:
    """Each kind by itself: its facts, the share right of every arm that was asked, and tuned against base."""
    asked, placebo, back = probes(20), probes(20, 2, "placebo"), probes(10, 1, "reversed")
    given = [
        *scores(asked, "base", WRONG), *scores(asked, "tuned", RIGHT), *scores(placebo, "base", WRONG),
        *scores(placebo, "tuned", [RIGHT, WRONG, WRONG, WRONG] * 10), *scores(back, "base", SILENT),
        *scores(back, "tuned", RIGHT), *scores(back, "rag", RIGHT),
    ]  # fmt: skip
    report = summarise([*asked, *placebo, *back], given)
    assert (report.facts, report.probes, report.apart_arms) == (20, 40, ("base", "tuned", "rag"))
    assert [(arm.arm, arm.correct.value) for arm in report.arms] == [("base", 0.0), ("tuned", 1.0)]
    first, second = report.apart
    assert (first.kind, first.facts, first.probes) == ("placebo", 20, 40)
    assert {arm: interval.value for arm, interval in first.correct.items()} == {"base": 0.0, "tuned": 0.25}
    assert first.correct["tuned"].low < 0.25 < first.correct["tuned"].high
    assert first.gain is not None
    assert (first.gain.arm, first.gain.against, first.gain.difference.value) == ("tuned", "base", 0.25)
    assert (second.kind, second.facts, second.correct["rag"].value) == ("reversed", 10, 1.0)
    alone = summarise([*asked, *back], [*scores(asked, "base", WRONG), *scores(back, "base", WRONG)])
    assert [(one.kind, one.gain) for one in alone.apart] == [("reversed", None)]
