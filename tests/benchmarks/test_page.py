"""The page in a browser, told what to do over the DevTools protocol: by keyboard, and with texts that break pages."""

import importlib
import random
import shutil
import sys
from pathlib import Path

import pytest

from kb.evaluate.html import as_html
from kb.evaluate.sources import Passage, Place, Sources
from kb.evaluate.summary import summarise
from kb.records import Probe, Score

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium on this machine"),
]

BENCHMARKS = str(Path(__file__).parents[2] / "benchmarks")
NASTY = (
    "</script><script>document.title = 'broken'</script>",
    "W" * 500,
    "שלום עולם، مرحبا بالعالم",
    "👩‍👩‍👧‍👦" * 40,
    "长" * 300,
    "a\u202eb\u0000c",
)
ARMS = (
    "base",
    "rag",
    "tuned",
    "tuned_rag",
    "oracle",
    "wrong",
    "run:an-extremely-long-name-of-a-run+rag",
    "model:W" * 9,
)
OVER = """[document.documentElement.scrollWidth - innerWidth,
    document.getElementById("sample").scrollWidth - document.getElementById("sample").clientWidth,
    [...document.querySelectorAll("main *")].filter((one) => one.getBoundingClientRect().right > innerWidth + 1
      && !one.closest("svg, .wide")).map((one) => one.outerHTML.slice(0, 200))]"""

OVERLAPS = """(() => {
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), seen = [], found = [];
  while (walk.nextNode()) {
    const text = walk.currentNode, range = document.createRange();
    const hidden = matchMedia("screen and (max-width: 900px)").matches ? "thead" : "details:not([open])";
    if (!text.data.trim() || text.parentElement.closest(hidden)) continue;
    range.selectNodeContents(text);
    seen.push(...[...range.getClientRects()].filter((one) => one.width > 1).map((one) => [text, one]));
  }
  seen.sort((one, other) => one[1].top - other[1].top);
  seen.forEach(([text, box], at) => {
    for (let next = at + 1; next < seen.length && seen[next][1].top < box.bottom - 6; next++) {
      const [other, its] = seen[next];
      if (other !== text && Math.min(box.right, its.right) - Math.max(box.left, its.left) > 1) {
        found.push(`${text.data} | ${other.data}`);
      }
    }
  });
  return found;
})()"""
"""Texts that lie on one another."""


@pytest.fixture(scope="module")
def tab():
    """One tab for all tests."""
    sys.path.insert(0, BENCHMARKS)
    with importlib.import_module("chromium").browser() as opened:
        yield opened
    sys.path.remove(BENCHMARKS)
    del sys.modules["chromium"]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Thirty facts whose question, answers, passages, document and statement are nasty texts."""
    probes = [Probe(f"p{n}", f"f{n}", "held_out", NASTY[n % 6], NASTY[n % 5], "text", "en") for n in range(30)]
    scores = [
        Score(probe.id, arm, NASTY[(n + at) % 6], ("correct", "wrong")[(n + at) % 2], "r", ("c0", "c1")[: at % 3])
        for n, probe in enumerate(probes)
        for at, arm in enumerate(ARMS)
    ]
    told = {f"f{n}": NASTY[n % 6] for n in range(30)}
    report = summarise(
        probes, scores, name=NASTY[0], resamples=100, statements=told, documents=told, provenance={NASTY[1]: NASTY[1]}
    )
    sources = Sources(
        {"c0": Passage(NASTY[1], NASTY[2]), "c1": Passage(NASTY[0], NASTY[4])},
        ((("user", (NASTY[0], 1, NASTY[1], 2, 0)),),),
        {(arm, probe.id): 0 for arm in ARMS[2::3] for probe in probes}, {"f0": Place("c1", 2, 9)}, {"f0": 3},
    )  # fmt: skip
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(as_html(report, probes, scores, sources), "utf-8")
    return file


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Sixty facts of twenty Chinese documents, and what the base knew of the world: sections for all of it."""
    kinds = {"held_out": 60, "trained": 60, "known": 90, "reading": 90, "never": 90, "near_miss": 60, "placebo": 20}
    probes = [
        Probe(f"{kind}{n}", f"f{n}" if kind in ("held_out", "trained", "near_miss") else f"{kind}-f{n}", kind,
              f"渔场噪声条例第 {n} 条由谁负责？", "" if kind in ("near_miss", "never") else "陶立义", "name", "zh")
        for kind, count in kinds.items() for n in range(count)
    ]  # fmt: skip
    rates = {"base": 0.1, "rag": 0.9, "sft": 0.5, "tuned": 0.6, "tuned_rag": 0.9, "oracle": 1.0, "wrong": 0.0}
    rates["tuned_wrong"] = 0.1
    chance = random.Random(0)
    scores = [
        Score(one.id, arm, "不知道", "correct" if chance.random() < rate else "wrong", "r")
        for one in probes
        for arm, rate in rates.items()
    ]
    told = {f"f{n}": f"《渔场噪声条例》合作伙伴介绍，第 {n % 20} 册" for n in range(60)}
    report = summarise(probes, scores, name="渔场-1", resamples=100, statements=told, documents=told)
    file = tmp_path_factory.mktemp("whole") / "report.html"
    file.write_text(as_html(report, probes, scores), "utf-8")
    return file


@pytest.mark.parametrize("width", [1280, 920, 375, 320])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_text_lies_on_another(tab, whole, width, language):
    """Labels, figures and intervals of all sections have room, from a desktop to the narrowest phone."""
    tab.size(width, 900)
    tab.open(whole, f"?lang={language}")
    tab.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert tab.run("document.querySelectorAll('.untaught, .forest small.line').length") > 9
    assert tab.run(OVERLAPS) == []
    assert tab.run(OVER)[2] == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_on_paper_no_text_lies_on_another_and_no_word_is_broken(tab, whole, language):
    """On the 718 pixels between the margins of A4; names in the plot of differences break at spaces at most."""
    tab.size(718, 900)
    tab.open(whole, f"?lang={language}")
    tab.call("Emulation.setEmulatedMedia", media="print")
    heights = "Math.max(...[...document.querySelectorAll('.forest tbody th > span')].map((one) => one.offsetHeight))"
    found = tab.run(f"[{OVERLAPS}, {heights} < 40]")
    tab.call("Emulation.setEmulatedMedia", media="")
    assert found == [[], True]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_names_over_narrow_columns_break_where_they_are_joined(tab, whole, language):
    """No part of "tuned+wrong" or of its Chinese name stands on two lines."""
    tab.size(1280, 900)
    tab.open(whole, f"?lang={language}")
    lines = tab.run("""[...document.querySelectorAll(".slices thead th span")].flatMap((one) => [...one.childNodes])
      .filter((one) => one.data && !one.data.includes(" ")).map((one) => {
        const range = document.createRange();
        range.selectNodeContents(one);
        return range.getClientRects().length;
      })""")
    assert len(lines) > 8
    assert max(lines) == 1


@pytest.mark.parametrize("language", ["en", "zh"])
def test_chinese_headings_are_as_bold_as_others(tab, whole, language):
    """700, for which browsers make the bold of a font that has but one weight, of Chinese names in any page."""
    tab.size(1280, 900)
    tab.open(whole, f"?lang={language}")
    bold = "[...document.querySelectorAll('%s')].map((one) => getComputedStyle(one).fontWeight)"
    assert set(tab.run(bold % "tbody th > span:lang(zh):not(small span)")) == {"700"}
    assert set(tab.run(bold % "h1, h2")) == {"700" if language == "zh" else "600"}


def test_rows_of_the_heat_map_have_their_names_beside_them_on_a_phone(tab, whole):
    """Each name stands in the middle of its row, left of it."""
    tab.size(375, 900)
    tab.open(whole, "?lang=zh")
    found = tab.run("""(() => {
      const map = document.querySelector(".heat").getBoundingClientRect();
      const labels = [...document.querySelectorAll(".heat-labels > span")], row = map.height / labels.length;
      return labels.map((one, at) => {
        const box = one.getBoundingClientRect(), off = box.top + box.height / 2 - map.top - row * (at + 0.5);
        return [Math.round(off), box.right < map.left, one.scrollWidth <= one.clientWidth];
      });
    })()""")
    assert found == [[0, True, True]] * 8


def press(tab, key, code, **given):
    """Press and release a key."""
    for kind in ("keyDown", "keyUp"):
        tab.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **given)


@pytest.mark.parametrize("width", [1300, 420])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_nasty_texts_fit_the_page_and_do_nothing(tab, page, width, language):
    """Nothing is wider than the window, in the page or in the sheet of an answer; nothing is run or logged."""
    tab.events.clear()
    tab.size(width, 900)
    tab.open(page, f"?lang={language}")
    tab.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    tab.run("document.getElementById('answers').scrollIntoView(); new Promise((done) => setTimeout(done, 100))")
    tab.run("document.querySelector('.question').click()")
    tab.run("document.querySelectorAll('.read').forEach((one) => { one.open = true; })")
    assert tab.run("new Promise((done) => setTimeout(done, 100)).then(() => " + OVER + ")") == [
        pytest.approx(0, abs=20), 0, [],
    ]  # fmt: skip
    assert tab.run("document.title").startswith("</script>")
    assert tab.run("[document.querySelectorAll('mark').length > 0, document.querySelectorAll('.said').length]")[0]
    assert tab.complaints() == []


def test_chinese_of_documents_is_in_chinese_on_an_english_page(tab, page):
    """In the list, in an opened answer and in its prompts; what has no Han character is not."""
    tab.size(1300, 900)
    tab.open(page, "?lang=en#p4")
    tab.run("document.querySelectorAll('.read').forEach((one) => { one.open = true; })")
    found = tab.run("""new Promise((done) => setTimeout(done, 100)).then(() => {
      const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = {};
      while (walk.nextNode()) {
        const text = walk.currentNode, own = text.parentElement.closest("[lang]").lang;
        if (!text.parentElement.closest("script, .zh")) {
          found[`${/[一-鿿]/.test(text.data)} ${own}`] = text.parentElement.tagName;
        }
      }
      return found;
    })""")
    assert "true zh-CN" in found
    assert "false en" in found
    assert "true en" not in found


def test_everything_is_reached_by_keyboard(tab, page):
    """Tab goes from the search to a question, Enter opens it on Next, Escape closes it and gives the focus back."""
    tab.events.clear()
    tab.size(1300, 900)
    tab.open(page)
    tab.run("document.getElementById('query').focus(); new Promise((done) => setTimeout(done, 100))")
    for _ in range(5):
        press(tab, "Tab", 9)
    assert tab.run("[document.activeElement.className, getComputedStyle(document.activeElement).outlineStyle]") == [
        "question", "solid",
    ]  # fmt: skip
    press(tab, "Enter", 13, text="\r")
    opened = "[document.getElementById('sample').open, document.activeElement.id, location.hash]"
    assert tab.run(opened) == [True, "next", "#p0"]
    press(tab, "Enter", 13, text="\r")
    assert tab.run(opened) == [True, "next", "#p1"]
    press(tab, "Tab", 9)
    press(tab, "Tab", 9)
    assert tab.run("document.activeElement.tagName") in ("SUMMARY", "DIV")
    press(tab, "Escape", 27)
    # The event of closing comes some time after the key.
    tab.run("""new Promise((done) => {
      const look = (left) => location.hash && left ? setTimeout(look, 20, left - 1) : done();
      look(100);
    })""")
    assert tab.run("[document.getElementById('sample').open, document.activeElement.className, location.hash]") == [
        False, "question", "",
    ]  # fmt: skip
    assert tab.complaints() == []


def test_a_link_opens_its_answer_and_the_outcome_is_a_filter(tab, page):
    """The id of a probe behind # opens it; what RAG has right and the tuned model has not is listed alone."""
    tab.open(page, "?lang=en")
    tab.open(page, "?lang=en#p7")
    assert tab.run("[document.getElementById('sample').open, document.getElementById('place').textContent]") == [
        True, "28 / 30",
    ]  # fmt: skip
    count = """(value) => {
      const box = document.getElementById("outcome");
      box.value = value;
      box.dispatchEvent(new Event("input", { bubbles: true }));
      return document.getElementById("count").textContent;
    }"""
    assert tab.run(f"({count})('1,2')") == "15 of 30 questions"
    assert tab.run(f"({count})('apart')") == "30 of 30 questions"


@pytest.mark.parametrize("facts", [1, 0])
def test_a_page_of_one_fact_or_none_without_a_run_is_whole(tab, tmp_path, facts):
    """Base and RAG alone: no errors, no overflow, and the count says how many there are."""
    probes = [Probe(f"p{n}", f"f{n}", "held_out", "谁？", "A", "name", "zh") for n in range(facts)]
    scores = [Score(probe.id, arm, "A", "correct", "r") for probe in probes for arm in ("base", "rag")]
    file = tmp_path / "report.html"
    file.write_text(as_html(summarise(probes, scores, resamples=100), probes, scores), "utf-8")
    tab.events.clear()
    tab.open(file)
    assert tab.run("document.getElementById('count').textContent") == f"{facts} of {facts} questions"
    assert tab.run(OVER)[2] == []
    assert tab.complaints() == []
