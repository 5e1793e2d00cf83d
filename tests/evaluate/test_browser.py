"""The data of the page's answers: what is on the page, and what is left off where there is too much."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from kb.evaluate import browser
from kb.evaluate.browser import browser_data
from kb.evaluate.results import Report
from kb.evaluate.sources import Passage, Place, Sources
from kb.evaluate.summary import summarise
from kb.records import Probe, Score


@pytest.fixture(scope="module")
def made(sample: Callable[..., object]) -> tuple[object, Report]:
    """A sample of 40 facts and its report."""
    one = sample(40, 3)
    return one, summarise(one.probes, one.scores, resamples=100)


def two(shown: tuple[str, ...] = ("chk_a", "chk_b")) -> tuple[Report, list[Probe], list[Score]]:
    """Two probes of one fact; RAG is shown both passages for the first and the second one for the other."""
    probes = [Probe(f"p{n}", "f", "held_out", f"问题 {n}?", "1", "number", "zh") for n in range(2)]
    scores = [Score(f"p{n}", "rag", "1", "correct", "r", shown[n:]) for n in range(2)]
    return summarise(probes, scores, resamples=100, statements={"f": "It is 1."}), probes, scores


SOURCES = Sources(
    {"chk_a": Passage("书 > A", "a" * 50), "chk_b": Passage("Book", "It is 1. That is all.")},
    ((("system", ("Rules.",)), ("user", ("[1] ", 1, "\n", 0))), (("user", (0,)),)),
    {("rag", "p0"): 0, ("rag", "p1"): 0}, {"f": Place("chk_b", 0, 8)}, {"f": 9},
)  # fmt: skip


def test_a_passage_and_a_template_are_there_once() -> None:
    """Answers refer to both by number; a fact says where its evidence stands, and how many rows taught it."""
    report, probes, scores = two()
    data = browser_data(report, probes, scores, SOURCES)
    assert data["chunks"] == [["chk_a", "书 > A", "a" * 50], ["chk_b", "Book", "It is 1. That is all."]]
    assert data["templates"] == [SOURCES.templates[0]]
    assert [probe[5][0][4:] for probe in data["probes"]] == [[[0, 1], 0], [[1], 0]]
    assert data["facts"][0][5:] == [9, [1, 0, 8]]


def test_evidence_is_counted_as_scripts_count() -> None:
    """A character beyond the first 65,536, as rare surnames have them, is two of a script's."""
    text = "𠮷野家 😀 It is 1."
    found = replace(SOURCES, passages={"chk_b": Passage("Book", text)}, places={"f": Place("chk_b", 6, 14)})
    data = browser_data(*two(), found)
    chunk, start, end = data["facts"][0][6]
    assert text[6:14] == "It is 1."
    assert data["chunks"][chunk][2].encode("utf-16-le")[2 * start : 2 * end].decode("utf-16-le") == "It is 1."


def test_without_sources_there_are_ids_alone() -> None:
    """A chat that is not known is -1, a passage its id, and a fact stands nowhere."""
    data = browser_data(*two())
    assert data["chunks"] == [["chk_a"], ["chk_b"]]
    assert (data["templates"], data["probes"][0][5][0][5], data["facts"][0][5:]) == ([], -1, [None, None])


def test_the_text_that_is_shown_most_stays_where_not_all_has_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two passages the one that two answers read; the other keeps its id. A chat that is too long is left off."""
    monkeypatch.setattr(browser, "MOST_READ", 26)
    data = browser_data(*two(), SOURCES)
    assert data["chunks"] == [["chk_a"], ["chk_b", "Book", "It is 1. That is all."]]
    monkeypatch.setattr(browser, "MOST_READ", 8)
    data = browser_data(*two(), SOURCES)
    assert (data["chunks"], data["templates"], data["probes"][0][5][0][5]) == ([["chk_a"], ["chk_b"]], [], -1)


@pytest.mark.parametrize("bound", ["MOST_ANSWERS", "MOST_SAID"])
def test_too_many_answers_are_thinned_by_whole_probes(made, monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    """Above a bound every n-th probe stays, with all its arms, and the page knows how many there were."""
    one, report = made
    said = sum(len(probe.question) for probe in one.probes) + sum(len(score.answer) for score in one.scores)
    whole = {"MOST_ANSWERS": len(one.scores), "MOST_SAID": said}[bound]
    monkeypatch.setattr(browser, bound, whole // 4 + 1)
    data = browser_data(report, one.probes, one.scores)
    assert data["all"] == len(one.probes)
    assert len(data["probes"]) == -(-len(one.probes) // 4)
    assert len(data["probes"][0][5]) == 5


def test_long_texts_are_cut_and_say_so(made, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question, answer or passage above the limit ends in an ellipsis."""
    one, report = made
    monkeypatch.setattr(browser, "LONGEST", 4)
    monkeypatch.setattr(browser, "LONGEST_PASSAGE", 5)
    assert browser_data(report, one.probes, one.scores)["probes"][0][3] == "How …"
    assert browser_data(*two(), SOURCES)["chunks"][1] == ["chk_b", "Book", "It is…"]
