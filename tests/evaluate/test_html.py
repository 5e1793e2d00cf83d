"""The page: one file, both languages, inert text, bounded data; and, where there is a browser, what it does there."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from kb.evaluate import wording
from kb.evaluate.charts import Axis, difference_axis, heat_map
from kb.evaluate.html import as_html, embedded
from kb.evaluate.markup import escape
from kb.evaluate.results import Check
from kb.evaluate.sections import heat_order
from kb.evaluate.stats import Interval
from kb.evaluate.summary import summarise
from kb.records import Probe, Score

HOSTILE = "</script><script>alert(1)</script><!-- \u2028 ' \" & 答案"
VOID = {"meta", "link", "input", "line", "rect", "circle", "wbr"}


class Reader(HTMLParser):
    """Tags, attributes and the balance of a page, and texts with Han characters in another language than Chinese."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.languages: list[str | None] = []
        self.foreign: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
            self.languages.append(dict(attrs).get("lang", self.languages[-1] if self.languages else None))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element without content."""
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """The innermost open element ends."""
        assert self.open.pop() == tag
        self.languages.pop()

    def handle_data(self, data: str) -> None:
        """Text, that of scripts and the title aside, which hold both languages."""
        if self.open and self.open[-1] not in ("script", "title", "style") and self.languages[-1] != "zh-CN":
            self.foreign += re.findall("[一-鿿]+", data)


@pytest.fixture(scope="module")
def made(sample: Callable[..., object]) -> tuple[object, str]:
    """A sample of 40 facts and its page."""
    one = sample(40, 3)
    report = summarise(
        one.probes, one.scores, name="run-1", resamples=500, statements=one.statements, documents=one.documents,
        provenance={"model": "lab"}, checks=[Check("models differ", True, "yes", "模型不同", "是")],
    )  # fmt: skip
    return one, as_html(report, one.probes, one.scores)


def data_of(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found
    return json.loads(found.group(1))


def test_the_page_is_whole_and_asks_for_nothing(made) -> None:
    """Tags close in order, ids are unique, and no attribute points outside the page; the policy forbids connections."""
    reader = Reader(made[1])
    assert reader.open == []
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in reader.tags:
        assert not {"src", "srcset", "action", "poster"} & attributes.keys()
        assert (attributes.get("href") or "data:,").startswith(("data:", "#"))
    assert "default-src 'none'" in made[1]
    assert not re.search(r"url\(|@import|https?://|fetch\(|XMLHttpRequest|innerHTML", made[1])


def test_all_sections_are_there_in_both_languages(made) -> None:
    """Thirteen sections, each heading once in English and once in Chinese."""
    sections = (
        "arms", "differences", "facts", "wordings", "gap", "rings", "untaught", "findings", "apart", "slices", "scorer",
        "answers", "provenance",
    )  # fmt: skip
    for name in sections:
        heading = re.search(rf'<h2 id="{name}-title">(.*?)</h2>', made[1])
        assert heading, name
        assert 'lang="en"' in heading.group(1) and re.search(r'lang="zh-CN">[^<]*[一-鿿]', heading.group(1)), name


def test_what_is_measured_apart_says_what_it_means(made) -> None:
    """A row for each kind, with a sentence in both languages, facts, the four arms and the difference."""
    part = made[1].partition('<section id="apart"')[2].partition("</section>")[0]
    for kind, text in wording.APART.items():
        name = wording.KINDS[kind]
        row = re.search(rf"<tr><th scope=\"row\">[^\n]*?>{name.en}<.*?</tr>", part, re.S)
        assert row, kind
        assert all(escape(said) in row.group() for said in (text.en, text.zh, name.zh))
    assert part.count("<tr>") == 1 + len(wording.APART)
    assert part.count('class="value"') == 4 * len(wording.APART)
    assert "另行测量" in part


def test_han_characters_are_in_chinese(made) -> None:
    """Wherever they stand, in labels or in what documents say, so that no font for Japanese or Korean is chosen."""
    one, page = made
    assert any(re.search("[一-鿿]", text) for text in [*one.statements.values(), *one.documents.values()])
    assert Reader(page).foreign == []


def test_checks_rules_and_provenance_are_named_in_chinese(made) -> None:
    """Names in both languages; a rule keeps the name that answers.jsonl has."""
    assert "模型不同" in made[1] and ">模型<" in made[1]
    assert '<span class="zh" lang="zh-CN">空回答</span> <small class="zh" lang="en">empty</small>' in made[1]
    assert ["empty", "空回答"] in data_of(made[1])["rules"]


def test_hostile_text_neither_ends_the_script_nor_becomes_markup() -> None:
    """A `</script>` in questions, answers, rules, names and provenance stays text, everywhere."""
    probes = [Probe(f"p{n}{HOSTILE}", f"f{n}{HOSTILE}", "held_out", HOSTILE, HOSTILE, HOSTILE, "zh") for n in range(2)]
    scores = [
        Score(probe.id, arm, HOSTILE, "wrong", HOSTILE, (HOSTILE,))
        for probe in probes
        for arm in ("rag", "x" + HOSTILE)
    ]
    facts = {probe.fact_id: HOSTILE for probe in probes}
    report = summarise(
        probes, scores, name=HOSTILE, created=HOSTILE, statements=facts, documents=facts,
        provenance={HOSTILE: HOSTILE}, checks=[Check(HOSTILE, False, HOSTILE, HOSTILE, HOSTILE)],
    )  # fmt: skip
    page = as_html(report, probes, scores)
    reader = Reader(page)
    assert [tag for tag, _ in reader.tags].count("script") == 2
    assert reader.open == []
    assert data_of(page)["probes"][0][5][0][2] == HOSTILE


def test_embedded_json_is_the_value_again() -> None:
    """Escapes for the script element are read back as the text they stand for."""
    value = {"a": HOSTILE, "b": [None, 0.5, "中文"]}
    assert "<" not in embedded(value) and "\u2028" not in embedded(value)
    assert json.loads(embedded(value)) == value


def test_the_data_holds_every_probe_with_the_answers_of_all_arms(made) -> None:
    """Held-out wordings first; each answer with verdict, rule and the ids of what was shown."""
    one, page = made
    data = data_of(page)
    assert data["all"] == len(data["probes"]) == len(one.probes)
    assert data["probes"][0][2] == "held_out"
    assert [answer[0] for answer in data["probes"][0][5]] == [0, 1, 2, 3, 4]
    shown = data["probes"][0][5][1][4]
    assert [data["chunks"][number][0] for number in shown] == [f"chk_{number:016x}" for number in (0, 1, 2)]
    assert len(data["facts"]) == 40


def test_the_heat_map_is_grouped_as_the_venn_counts_say(made) -> None:
    """Groups of the map have the sizes of the Venn counts, and each holds its own facts."""
    one, _ = made
    report = summarise(one.probes, one.scores, resamples=100)
    groups = heat_order(report)
    venn = report.venn
    assert venn is not None
    counts = [count for count in (venn.both, venn.only_rag, venn.only_tuned, venn.neither) if count]
    assert [len(group) for group in groups] == counts
    assert all((row.shares["rag"] or 0) > 0.5 and (row.shares["tuned"] or 0) > 0.5 for row in groups[0])


def test_equal_neighbours_are_one_rectangle() -> None:
    """Three facts alike make one cell; a gap between blocks parts them; a missing share is not drawn as zero."""
    assert heat_map([[1.0, 1.0, 1.0]], [3]).count("h3v") == 1
    assert heat_map([[1.0, 1.0, 1.0]], [2, 1]).count("M") == 2
    assert 'class="none"' in heat_map([[None]], [1])


def test_axes_hold_zero_and_round_ticks() -> None:
    """Ticks are round, at most a handful, and inside; values outside land on the edge."""
    axis = difference_axis([Interval(-0.1, -0.173, -0.05)], 0.03)
    assert [round(tick, 3) for tick in axis.ticks()] == [-0.15, -0.1, -0.05, 0.0]
    assert Axis(0.0, 1.0).at(0.25) == "25.00%"
    assert Axis(0.0, 1.0).at(2.0) == "100.00%"


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium on this machine")
@pytest.mark.parametrize(("language", "expected"), [("en", "questions"), ("zh", "题中的")])
def test_a_browser_shows_it_without_an_error(made, tmp_path: Path, language: str, expected: str) -> None:
    """Headless Chromium runs the script to the end, logs nothing to the console and lists all, in blocks of ten."""
    one, page = made
    (tmp_path / "report.html").write_text(page, "utf-8")
    done = subprocess.run(
        [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom",
            f"file://{tmp_path / 'report.html'}?lang={language}",
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr
    assert done.stdout.count('class="block"') == -(-len(one.probes) // 10)
    assert re.search(rf'id="count"[^>]*>[^<]*{expected}', done.stdout)
    assert f"{len(one.probes)} " in done.stdout


def test_documents_and_adjusted_p_are_on_the_page(sample: Callable[..., object]) -> None:
    """Twelve documents: intervals by document beside those by fact, raw p below the adjusted, shrunken shares with the
    counted ones in brackets, in both languages; with six documents, none of the former.
    """
    one = sample(120, 2)
    titles = {fact: f"Book {at % 12}" for at, fact in enumerate(one.documents)}
    page, few = (
        as_html(summarise(one.probes, one.scores, documents=names), one.probes, one.scores)
        for names in (titles, one.documents)
    )
    part = page.partition('<section id="differences"')[2].partition("</section>")[0]
    assert part.count("by document") == part.count("按文档") == 2 * part.count("alone") == 12
    assert "Retention, tuned / oracle: 0." in part and "增益保留率" in part
    assert "Right, by document" in page and "Right, by document" not in few
    books = page.partition("Book 0<")[2].partition("</tr>")[0]
    assert books.count('class="value"') == books.count("<small>(") == 5
    assert "已向全部文档的比例收缩" in page


def test_a_slice_that_stands_out_has_an_asterisk() -> None:
    """Twenty facts in English known, twenty in Chinese not."""
    probes = [Probe(f"p{n}", f"f{n}", "held_out", "?", "1", "number", ("en", "zh")[n // 20]) for n in range(40)]
    scores = [Score(f"p{n}", "tuned", "1", "correct" if n < 20 else "wrong", "r") for n in range(40)]
    report = summarise(probes, scores)
    assert as_html(report, probes, scores).count("<b>*</b>") == 2
