"""The rings of facts that no question taught: what is made up, what is declined, what is left."""

import re

import numpy as np
import pytest

from kb.evaluate.gates import figures
from kb.evaluate.html import as_html
from kb.evaluate.pvalues import holm
from kb.evaluate.report import as_json, as_markdown, as_table
from kb.evaluate.summary import summarise
from kb.evaluate.untaught_text import MEANING, kept_rows
from kb.evaluate.wording import UNTAUGHT, percent
from kb.records import Probe, Score

RIGHT, WRONG, SILENT, GARBLED = "correct", "wrong", "abstained", "unparsed"


def probes(facts: int, kind: str, wordings: int = 1) -> list[Probe]:
    return [
        Probe(f"{kind}-{fact:03d}-{wording}", f"{kind}{fact:03d}", kind, f"Question {fact}?", "4", "number", "en")
        for fact in range(facts)
        for wording in range(wordings)
    ]


def scores(asked: list[Probe], arm: str, verdicts: str | list[str]) -> list[Score]:
    """One verdict for all, or one each."""
    given = [verdicts] * len(asked) if isinstance(verdicts, str) else verdicts
    return [Score(probe.id, arm, "4", verdict, "r") for probe, verdict in zip(asked, given, strict=True)]


@pytest.fixture
def report():
    """Forty placebo facts that the base declines and the tuned model makes up; forty world facts, most of them kept."""
    held, placebo, known = probes(40, "held_out"), probes(40, "placebo", 2), probes(40, "known")
    given = [
        *scores(held, "base", [RIGHT] * 4 + [SILENT] * 36), *scores(held, "tuned", [WRONG] + [RIGHT] * 39),
        *scores(placebo, "base", SILENT), *scores(placebo, "tuned", [RIGHT, WRONG, WRONG, GARBLED] * 20),
        *scores(known, "base", [RIGHT] * 30 + [SILENT] * 10),
        *scores(known, "tuned", [WRONG] * 2 + [RIGHT] * 30 + [SILENT] * 8),
    ]  # fmt: skip
    return summarise([*held, *placebo, *known], given)


def test_what_is_made_up_and_declined_by_hand(report):
    """Rates of base and tuned over facts, paired; what could not be parsed is neither; the refusals fall with it."""
    placebo, known = report.untaught
    assert (placebo.ring, placebo.facts, placebo.probes) == ("placebo", 40, 80)
    shifts = {name: getattr(placebo, name) for name in ("correct", "wrong", "abstained")}
    assert {name: (one.base.value, one.tuned.value, one.difference.value) for name, one in shifts.items()} == {
        "correct": (0.0, 0.25, 0.25), "wrong": (0.0, 0.5, 0.5), "abstained": (1.0, 0.0, -1.0),
    }  # fmt: skip
    assert placebo.wrong.difference.low > 0.3 and placebo.invents
    assert (known.ring, known.wrong.difference.value, known.invents) == ("known", 0.05, False)


def test_p_values_of_what_is_read_together_are_adjusted(report):
    """Wrong answers and refusals of all rings by Holm; what is right has the p that stands beside it elsewhere."""
    placebo, known = report.untaught
    family = [placebo.wrong, placebo.abstained, known.wrong, known.abstained]
    wanted = holm(np.array([one.p for one in family])).tolist()
    assert [one.p_adjusted for one in family] == wanted
    assert placebo.correct.p_adjusted == report.apart[0].gain.p_adjusted
    assert known.correct.p_adjusted == report.rings[0].p_adjusted


def test_what_is_left_of_what_the_base_had_right(report):
    """Had, kept and gained, in questions; a kind of which it had nothing is not listed."""
    assert [(one.kind, one.probes, one.had, one.kept, one.gained) for one in report.kept] == [
        ("held_out", 40, 4, 3, 36), ("known", 40, 30, 28, 2),
    ]  # fmt: skip
    label, said = kept_rows(report)[1]
    assert (label.en, said.en) == ("world fact", "base 30 of 40; tuned kept 28 (93.3%) and gained 2")
    assert said.zh == "原模型 30 / 40；微调后保留 28（93.3%），新增 2"


def test_a_rise_that_is_no_chance_is_said(report):
    """In both languages, with the ring, and the next step is about it; not where it may be chance."""
    said = report.remarks[-1]
    assert said.en == (
        "The tuned model makes up more where no question taught it, wrong answers: other documents 0.0% → 50.0%"
        " (p<.001)."
    )
    assert "编造更多，答错的比例：其他文档 0.0% → 50.0%（p<.001）" in said.zh
    assert report.next_step.en.startswith("Train again with more replay and refusal rows")


def test_it_is_in_every_form(report):
    """The same shares in terminal, Markdown, JSON and page; both languages on the page."""
    lines, text, page = as_table(report).splitlines(), as_markdown(report), as_html(report, [], [])
    assert max(map(len, lines)) <= 100
    start = lines.index("  other documents: 40 facts, 80 questions")
    assert lines[start + 2].split()[:6] == ["wrong", "0.0%", "->", "50.0%", "+50.0", "[+36.8,"]
    assert lines[start + 2].endswith("p<.001  !") and not lines[start + 1].endswith("!")
    assert "of what the base had right" in lines
    assert "| other documents (40 facts, 80 questions) | wrong | 0.0% | 50.0% | +50.0 |" in text
    assert "## Of what the base had right" in text
    assert as_json(report)["untaught"][0]["wrong"]["tuned"]["value"] == 0.5
    part = page.partition('<section id="untaught"')[2].partition("</section>")[0]
    for ring in report.untaught:
        assert MEANING[ring.ring].zh in part and UNTAUGHT[ring.ring].en in part
        assert percent(ring.wrong.tuned.value) in part
    assert part.count('<svg class="chart"') == 4
    assert len(re.findall("makes up", part)) == 1


def test_without_rings_the_page_too_says_what_is_left():
    """What the base had right of the documents themselves stands in all forms."""
    held = probes(10, "held_out")
    bare = summarise(held, [*scores(held, "base", RIGHT), *scores(held, "tuned", [WRONG] + [RIGHT] * 9)])
    said = kept_rows(bare)[0][1].en
    assert bare.untaught == ()
    assert said == "base 10 of 10; tuned kept 9 (90.0%) and gained 0"
    for text in (as_table(bare), as_markdown(bare), as_html(bare, held, [])):
        assert said in text


def test_a_gate_reads_it(report):
    """Shares, changes and counts by path."""
    found = figures(report)
    assert (found["untaught.placebo.wrong.tuned.value"], found["kept.known.kept"]) == (0.5, 28.0)
    assert found["untaught.placebo.wrong.change.lower"] == report.untaught[0].wrong.difference.low


def test_without_a_tuned_model_nothing_is_said():
    """The base alone makes nothing up more, and keeps what it has."""
    known = probes(10, "known")
    bare = summarise(known, scores(known, "base", RIGHT))
    assert (bare.untaught, bare.kept) == ((), ())
    assert "untaught" not in as_table(bare) + as_markdown(bare)


def test_a_base_that_knew_little_is_warned_of(report):
    """With 29 right it can hardly be seen what is forgotten; with 30 it can."""
    known = probes(40, "known")

    def warned(right: int) -> list[str]:
        given = [*scores(known, "base", [RIGHT] * right + [WRONG] * (40 - right)), *scores(known, "tuned", WRONG)]
        return [text.en for text in summarise(known, given).warnings]

    assert warned(29) == [
        "The base had only 29 of 40 world facts right: what tuning made it forget can hardly be seen there."
    ]
    assert warned(30) == []
