"""Probes and scores to a report: small cases by hand, missing arms, odd input."""

import random
import time
from dataclasses import replace

import numpy as np
import pytest

from kb.evaluate.pvalues import holm
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
    assert (ring.p, ring.p_adjusted) == (1 / 256, 2 / 256)
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
def test_another_seed_moves_p_and_not_intervals(sample) -> None:
    """The seed is in the report and moves p values alone."""
    made = sample(60, 3)
    one, other = (summarise(made.probes, made.scores, seed=seed, resamples=500) for seed in (0, 1))
    assert [arm.correct for arm in one.arms] == [arm.correct for arm in other.arms]
    assert [pair.difference for pair in one.comparisons] == [pair.difference for pair in other.comparisons]
    assert [pair.p for pair in one.comparisons] != [pair.p for pair in other.comparisons]
    assert (one.seed, other.seed) == (0, 1)


@pytest.mark.slow
def test_fewer_sign_patterns_give_a_rougher_p(sample) -> None:
    """`resamples` reaches the sign flips: the least p of 100 patterns is half of one in 101."""
    made = sample(30, 3)
    rough, fine = (
        summarise(made.probes, made.scores, resamples=count).comparison("rag", "base") for count in (100, 1000)
    )
    assert rough is not None and fine is not None
    assert (rough.p, fine.p) == (pytest.approx(0.5 / 101), pytest.approx(0.5 / 1001))


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


def answers(asked: list[Probe], arm: str, *said: tuple[str, str]) -> list[Score]:
    """Verdict and answer of each probe."""
    return [Score(probe.id, arm, text, verdict, "r") for probe, (verdict, text) in zip(asked, said, strict=True)]


def test_agreement_of_verdicts_and_of_answers_by_hand() -> None:
    """Three wordings: right in two ways and a refusal agree on 1 of 3 pairs; three wrong answers on all verdicts, and
    on the one pair that is the same in canonical form; what could not be parsed says nothing.
    """
    asked = probes(3, 3)
    given = answers(
        asked, "tuned", (RIGHT, "4"), (RIGHT, "It is four."), (SILENT, "I don't know."),
        (WRONG, "3,000 Units"), (WRONG, "3000 units."), (WRONG, "5 units"),
        (GARBLED, ""), (GARBLED, ""), (SILENT, "No idea."),
    )  # fmt: skip
    arm = summarise(asked, given).arms[0]
    assert arm.same_verdict is not None and arm.same_answer is not None
    assert arm.same_verdict.value == pytest.approx((1 / 3 + 1 + 1 / 3) / 3)
    assert arm.same_answer.value == pytest.approx((1 / 3 + 1 / 3 + 0) / 3)
    assert 0.0 <= arm.same_answer.low < arm.same_answer.value < arm.same_answer.high <= 1.0


def test_the_same_answers_in_chinese_agree() -> None:
    """Width, case and punctuation do not make another answer; other words do."""
    asked = probes(1, 3, language="zh")
    arm = summarise(asked, answers(asked, "tuned", (WRONG, "３０万台。"), (WRONG, "30万台"), (WRONG, "三百台"))).arms[0]
    assert arm.same_answer is not None and arm.same_answer.value == pytest.approx(1 / 3)


def test_one_wording_a_fact_has_no_agreement() -> None:
    """There is no pair."""
    asked = probes(5, 1)
    arm = summarise(asked, scores(asked, "base", RIGHT)).arms[0]
    assert (arm.same_verdict, arm.same_answer) == (None, None)


def test_the_worst_wording_is_wrong_or_only_declined() -> None:
    """Of four facts one is all right, one declined once, two answered wrong once: all right .25, worst wrong .5."""
    asked = probes(4)
    arm = summarise(asked, scores(asked, "base", [RIGHT, RIGHT, RIGHT, SILENT, RIGHT, WRONG, SILENT, WRONG])).arms[0]
    assert (arm.all_right.value, arm.worst_wrong.value) == (0.25, 0.5)


def test_what_is_kept_of_the_gain_is_measured_where_the_base_knows_nothing() -> None:
    """Of 40 facts the base knew 10: on the other 30 RAG gains .8 and tuning .4 over it, so G = .5; R counts all 40."""
    asked = probes(40, 1)
    rag, tuned = [RIGHT] * 34 + [WRONG] * 6, [RIGHT] * 22 + [WRONG] * 18
    given = [
        *scores(asked, "base", [RIGHT] * 10 + [WRONG] * 30), *scores(asked, "rag", rag),
        *scores(asked, "tuned", tuned), *scores(asked, "oracle", RIGHT),
    ]  # fmt: skip
    levels = {probe.fact_id: "known" if at < 10 else "unknown" for at, probe in enumerate(asked)}
    for known in (levels, None):  # without levels, by what the base answers
        report = summarise(asked, given, known=known)
        assert report.gain_retention is not None and report.retention is not None
        assert (report.headroom, report.gain_retention.value) == (30, pytest.approx(0.5))
        assert report.gain_retention.low < 0.5 < report.gain_retention.high
        assert report.retention.value == pytest.approx(22 / 34)
        assert report.retention_oracle is not None and report.retention_oracle.value == pytest.approx(22 / 40)
    partly = summarise(asked, given, known={"f010": "unknown", "f011": "maybe", "f012": "unknown"})
    assert partly.headroom == 2


def test_a_gain_over_next_to_nothing_is_refused() -> None:
    """RAG gains a fifth: G is not given; without a base there is no headroom."""
    asked = probes(40, 1)
    rag = scores(asked, "rag", [RIGHT] * 8 + [WRONG] * 32) + scores(asked, "tuned", RIGHT)
    report = summarise(asked, rag + scores(asked, "base", WRONG))
    assert (report.gain_retention, report.headroom) == (None, 40)
    assert summarise(asked, rag).headroom == 0


def test_p_values_that_are_read_together_are_adjusted() -> None:
    """Comparisons, rings and kinds apart are a family each: Holm by hand, and what counts is the adjusted one."""
    asked = probes(40, 1)
    given = [
        *scores(asked, "base", WRONG), *scores(asked, "rag", [RIGHT] * 30 + [WRONG] * 10),
        *scores(asked, "tuned", [WRONG] * 6 + [RIGHT] * 30 + [WRONG] * 4),
        *scores(asked, "oracle", [RIGHT] * 36 + [WRONG] * 4),
    ]  # fmt: skip
    report = summarise(asked, given)
    found = {(one.arm, one.against): one for one in report.comparisons}
    assert len(found) == 4
    oracle = found["oracle", "rag"]
    assert (oracle.p, oracle.p_adjusted) == (1 / 64, 2 / 64)
    assert found["tuned", "rag"].p_adjusted == found["tuned", "rag"].p == pytest.approx(1.0, abs=0.3)
    assert found["tuned", "base"].p_adjusted == pytest.approx(4 * found["tuned", "base"].p)
    more = summarise(asked, [*given, *scores(asked, "tuned_rag", [RIGHT] * 31 + [WRONG] * 9)])
    beside = more.comparison("oracle", "rag")
    assert beside is not None and beside.p == 1 / 64 and beside.p_adjusted > 0.05 and beside.sign == 0


def test_documents_are_clusters_where_there_are_ten() -> None:
    """Facts that are right or wrong by document: the interval over documents is wider; with nine documents none."""
    asked = probes(60, 1)
    verdicts = [RIGHT if fact // 6 < 7 else WRONG for fact in range(60)]
    given = scores(asked, "tuned", verdicts) + scores(asked, "base", WRONG)

    def measured(documents: int):
        titles = {probe.fact_id: f"Book {at * documents // 60}" for at, probe in enumerate(asked)}
        report = summarise(asked, given, documents=titles)
        return report.arm("tuned"), report.comparison("tuned", "base"), report.warnings

    arm, gain, warned = measured(10)
    assert arm.by_document is not None and gain.by_document is not None
    assert arm.by_document.value == arm.correct.value == pytest.approx(0.7)
    assert arm.by_document.width > 1.5 * arm.correct.width
    assert gain.by_document.low < gain.difference.low
    assert gain.p_by_document == gain.p_by_document_adjusted == 1 / 2**7 > gain.p
    assert warned[0].en.startswith("Facts of one document stand or fall together: tuned - base is [+")
    assert "] p=.008 for documents like them." in warned[0].en and "微调 - 原模型 对这些文档为 [+" in warned[0].zh
    whole = [f"Book {at // 6}" for at in range(60)]
    alike = summarise(
        asked, scores(asked, "rag", RIGHT) + scores(asked, "base", WRONG),
        documents={probe.fact_id: title for probe, title in zip(asked, whole, strict=True)},
    )  # fmt: skip
    assert alike.comparisons[0].by_document is not None and alike.warnings == ()
    arm, gain, warned = measured(9)
    assert (arm.by_document, gain.by_document, warned) == (None, None, ())
    assert gain.p_by_document is gain.p_by_document_adjusted is None


def test_p_values_over_documents_are_adjusted_for_one_another() -> None:
    """Three comparisons: as Holm says of the raw ones, whatever those over facts are."""
    asked = probes(40, 1)
    given = scores(asked, "base", WRONG)
    for step, arm in ((3, "rag"), (4, "tuned")):
        given += scores(asked, arm, [RIGHT if fact % 10 < step else WRONG for fact in range(40)])
    titles = {probe.fact_id: f"Book {at % 10}" for at, probe in enumerate(asked)}
    found = summarise(asked, given, documents=titles).comparisons
    raw = np.array([one.p_by_document for one in found])
    assert raw.tolist() == [1 / 2, 1 / 16, 1 / 8]
    assert [one.p_by_document_adjusted for one in found] == holm(raw).tolist() == [1 / 2, 3 / 16, 1 / 4]


def test_a_document_stands_out_only_beside_all_others() -> None:
    """Of 20 documents one is not known at all: it alone stands out, and its share is drawn towards the others'."""
    asked = probes(200, 1)
    lost = [10, *(at % 7 for at in range(19))]
    verdicts = [WRONG if fact % 10 < lost[fact // 10] else RIGHT for fact in range(200)]
    titles = {probe.fact_id: f"Book {at // 10:02d}" for at, probe in enumerate(asked)}
    report = summarise(asked, scores(asked, "tuned", verdicts), documents=titles)
    books = {one.name: one for one in report.slices if one.dimension == "document"}
    assert [name for name, one in books.items() if one.stands_out("tuned")] == ["Book 00"]
    bad, good = books["Book 00"], books["Book 08"]
    assert bad.correct["tuned"] is not None and bad.correct["tuned"].value == 0.0
    assert 0.0 < bad.shrunken["tuned"].value < 0.4 < 0.8 < good.shrunken["tuned"].value < 1.0
    assert bad.p_adjusted["tuned"] > bad.p["tuned"]


def test_slices_of_other_kinds_are_tested_too_and_not_shrunken() -> None:
    """Two languages, one known and one not: both stand out from each other, without a shrunken share."""
    asked = probes(20, 1) + [
        replace(one, id=f"z{one.id}", fact_id=f"z{one.fact_id}", language="zh") for one in probes(20, 1)
    ]
    report = summarise(asked, scores(asked, "tuned", [RIGHT] * 20 + [WRONG] * 20))
    english, chinese = (one for one in report.slices if one.dimension == "language")
    assert english.stands_out("tuned") and chinese.stands_out("tuned")
    assert (english.shrunken, english.p["tuned"]) == ({}, chinese.p["tuned"])


def test_instructions_that_neither_follows_are_no_row() -> None:
    """No 0 -> 0 as if nothing were lost, nothing beside which other p values are adjusted: a sentence in its place."""
    held, known, told = probes(40, 1), probes(40, 1, "known"), probes(40, 2, "following")
    given = scores(held, "base", WRONG) + scores(held, "tuned", RIGHT)
    given += scores(known, "base", RIGHT) + scores(known, "tuned", [WRONG] * 9 + [RIGHT] * 31)
    without = summarise([*held, *known], given)
    report = summarise([*held, *known, *told], given + scores(told, "base", WRONG) + scores(told, "tuned", SILENT))
    assert (report.rings, report.unfollowed, without.unfollowed) == (without.rings, 80, 0)
    (said,) = [one for one in report.warnings if one not in without.warnings]
    assert said.en.startswith("Neither the base nor the tuned model followed any of 80 instructions")
    assert said.zh.startswith("80 条指令，原模型与微调模型一条都没有遵循")


def test_instructions_are_a_ring_in_pairs() -> None:
    """An instruction and its mirror are one cluster; where one model follows some, the other none, that is a row."""
    told = probes(40, 2, "following")
    report = summarise(told, scores(told, "base", [RIGHT, RIGHT, RIGHT, WRONG] * 20) + scores(told, "tuned", WRONG))
    (ring,) = report.rings
    assert (ring.name, ring.probes, ring.base.value, ring.tuned.value, ring.lost) == ("following", 80, 0.75, 0.0, True)
    assert report.unfollowed == 0
    assert any("following instructions 75.0% → 0.0%" in remark.en for remark in report.remarks)
    assert any("遵循指令 75.0% → 0.0%" in remark.zh for remark in report.remarks)


def test_p_values_over_next_to_nothing_are_warned_of() -> None:
    """A fifth of the wordings of 20 facts right, against none: four facts' worth, said in both languages."""
    asked = probes(60, 1)
    for right, warned in ((4, 0), (40, 0)):
        given = scores(asked, "tuned", [RIGHT] * right + [WRONG] * (60 - right)) + scores(asked, "base", WRONG)
        assert len(summarise(asked, given).warnings) == warned
    spread = probes(60, 5)
    given = scores(spread, "tuned", [RIGHT, WRONG, WRONG, WRONG, WRONG] * 20 + [WRONG] * 200)
    (said,) = summarise(spread, given + scores(spread, "base", WRONG)).warnings
    assert said.en == "p values are rough where both arms have fewer than 5 facts right, or not right: tuned - base."
    assert said.zh == "两组答对（或未答对）的事实都不足 5 个时，p 值很粗略：微调 - 原模型。"
