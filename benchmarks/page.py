"""How large the page of a large evaluation is, and whether it is smooth: measured in a headless Chromium.

    python benchmarks/page.py [--facts 2000] [--wordings 5] [--keep FILE] [--out FILE]

Ten arms answer every held-out wording of facts in 200 documents; five of them read passages, RAG eight of them. Answers
are drawn, prompts are kb's own, and the files are written by the code of `kb eval`. The page is then opened, scrolled
by 600 pixels each frame through its list of answers, searched letter by letter, and an answer's prompt opened. A frame
is the time from one callback of `requestAnimationFrame` to the next; a reaction that from an event to the second
callback after it, so that the page has been drawn in between.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from chromium import browser

from kb.evaluate.report import write_report
from kb.evaluate.sources import Passage, Place, Sources, Template, templated
from kb.evaluate.summary import summarise
from kb.llm import user
from kb.prompt import Prompts
from kb.records import Chunk, Probe, Score
from kb.retrieval.hybrid import passages_text
from kb.workspace import write_text

ARMS = {
    "base": (0.05, 0), "rag": (0.75, 8), "sft": (0.68, 0), "tuned": (0.7, 0), "tuned_rag": (0.85, 8),
    "oracle": (0.95, 1), "tuned_oracle": (0.95, 1), "wrong": (0.02, 1), "run:other": (0.6, 0), "control": (0.06, 0),
}  # fmt: skip
"""Share right, and passages shown."""
DOCUMENTS = 200
SLOW = 50
"""Milliseconds above which a frame is felt."""
WORDS = (
    "maintenance",
    "permit",
    "inspection",
    "regional",
    "supply",
    "office",
    "chapter",
    "requires",
    "monthly",
    "report",
)
SCROLL = """new Promise((done) => {
  const frames = [], top = document.getElementById("answers").offsetTop;
  let last = 0;
  scrollTo(0, top);
  const step = (now) => {
    if (last) frames.push(now - last);
    last = now;
    scrollBy(0, 600);
    if (frames.length < 400) requestAnimationFrame(step);
    else done(frames);
  };
  requestAnimationFrame(() => requestAnimationFrame(step));
})"""
REACT = """const drawn = (act) => new Promise((done) => {
  const began = performance.now();
  act();
  requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - began)));
});"""
TYPE = """(async () => {
  %s
  const query = document.getElementById("query"), times = [];
  scrollTo(0, document.getElementById("answers").offsetTop);
  for (const letter of "turbine 1999") {
    times.push(await drawn(() => {
      query.value += letter;
      query.dispatchEvent(new Event("input", { bubbles: true }));
    }));
  }
  times.push(await drawn(() => document.getElementById("clear").click()));
  return times;
})()"""
OPEN = """(async () => {
  %s
  const times = [];
  for (let n = 0; n < 10; n++) {
    times.push(await drawn(() => document.querySelectorAll(".question")[n].click()));
    times.push(await drawn(() => document.querySelectorAll(".read summary")[1].click()));
    document.getElementById("close").click();
  }
  return times;
})()"""
LOADED = """(() => {
  const [found] = performance.getEntriesByType("navigation");
  const paint = performance.getEntriesByType("paint").find((one) => one.name === "first-contentful-paint");
  return [paint ? paint.startTime : null, found.domContentLoadedEventEnd];
})()"""


def passage(number: int, chance: random.Random) -> Chunk:
    """A passage of some 200 tokens, a fact's sentence in its midst."""
    lead, tail = (" ".join(chance.choices(WORDS, k=80)) for _ in range(2))
    text = f"{lead}\n{sentence(number)}\n{tail}"
    header = f"Handbook {number % DOCUMENTS} > Chapter {number // DOCUMENTS} > Turbine {number}"
    return Chunk(f"chk_{number:016x}", f"doc_{number % DOCUMENTS}", number, text, header, "en", 0, len(text))


def sentence(number: int) -> str:
    """What a fact's document says."""
    return f"Turbine {number} makes {number * 37 % 9000 + 1000} units each year."


def evaluation(facts: int, wordings: int) -> tuple[list[Probe], list[Score], Sources]:
    """Probes, answers, and what was read for each."""
    chance, prompts = random.Random(0), Prompts()
    chunks = [passage(number, chance) for number in range(facts)]
    probes, scores = [], []
    templates: dict[Template, int] = {}
    asked = {}
    for number in range(facts):
        gold = str(number * 37 % 9000 + 1000)
        for wording in range(wordings):
            question = f"Wording {wording}: how many units does Turbine {number} make each year, by the handbook?"
            probe = Probe(
                f"prb_{number:012x}{wording:04x}", f"fct_{number:016x}", "held_out", question, gold, "number", "en"
            )
            probes.append(probe)
            for arm, (rate, count) in ARMS.items():
                shown = [chunks[(number + step * 7) % facts] for step in range(count)]
                template = chat(prompts, question, shown)
                asked[arm, probe.id] = templates.setdefault(template, len(templates))
                scores.append(answer(chance, probe, arm, rate, shown))
    passages = {chunk.id: Passage(chunk.header, chunk.text) for chunk in chunks}
    places = {
        f"fct_{number:016x}": Place(chunk.id, chunk.text.index("\n") + 1, chunk.text.rindex("\n"))
        for number, chunk in enumerate(chunks)
    }
    return probes, scores, Sources(passages, tuple(templates), asked, places, dict.fromkeys(places, 9))


def chat(prompts: Prompts, question: str, shown: list[Chunk]) -> Template:
    """A prompt of kb's as the page keeps it."""
    prompt = prompts.get("kb", "rag" if shown else "closed", "en")
    filled = {"passages": passages_text(shown)} if shown else {}
    messages = user(prompt.fill(question=question, **filled), prompt.system)
    return templated(map(asdict, messages), question, [f"{one.header}\n{one.text}" for one in shown])


def answer(chance: random.Random, probe: Probe, arm: str, rate: float, shown: list[Chunk]) -> Score:
    """An answer that is right at this rate, and otherwise one of its own."""
    read = tuple(chunk.id for chunk in shown)
    if chance.random() < rate:
        return Score(probe.id, arm, probe.gold, "correct", "value", read, 70, 0.1)
    text = f"About {chance.randrange(10**6):,} units, as the regional office says."
    return Score(probe.id, arm, text, "wrong", "other_value", read, 70, 0.1)


@dataclass(frozen=True)
class Visit:
    """What one visit of the page came to; times in milliseconds."""

    browser: str
    times: dict[str, list[float]]
    frames: list[float]
    elements: int
    """On the page at its end."""
    complaints: int
    """Lines that were written to the console."""


def visit(page: Path) -> Visit:
    """Open the page and do with it what the docstring above says."""
    with browser() as tab:
        tab.size(1300, 900)
        load = 1000 * tab.open(page)
        paint, ready = tab.run(LOADED)
        frames = tab.run(SCROLL)
        times = {
            "first contentful paint": [paint], "DOM ready": [ready], "load event": [load],
            f"a frame of scrolling, {len(frames)} of them": frames,
            "a letter typed into the search": tab.run(TYPE % REACT),
            "a question or its prompt opened": tab.run(OPEN % REACT),
        }  # fmt: skip
        elements = tab.run("document.getElementsByTagName('*').length")
        return Visit(tab.call("Browser.getVersion")["product"], times, frames, elements, len(tab.complaints()))


def written(facts: int, wordings: int, folder: Path) -> tuple[Path, float]:
    """The page, and the seconds of processor time that its files took."""
    probes, scores, sources = evaluation(facts, wordings)
    ids = [f"fct_{number:016x}" for number in range(facts)]
    made = summarise(
        probes, scores, name="page", resamples=200, statements={id: sentence(at) for at, id in enumerate(ids)},
        documents={id: f"Handbook {at % DOCUMENTS}" for at, id in enumerate(ids)},
    )  # fmt: skip
    began = time.process_time()
    return write_report(made, probes, scores, folder, sources)["html"], time.process_time() - began


def figures(text: str, seconds: float, seen: Visit, command: str) -> str:
    """The figures as Markdown."""
    data = text.partition('id="data">')[2].partition("</script>")[0]
    held = json.loads(data)
    answers = sum(len(probe[5]) for probe in held["probes"])
    texts = sum(len(chunk) > 1 for chunk in held["chunks"])
    whole, own = len(text.encode()), len(data.encode())
    slow = sum(frame > SLOW for frame in seen.frames)
    rows = [
        f"| {name} | {statistics.median(found):.0f} | {np.quantile(found, 0.95):.0f} | {max(found):.0f} |"
        for name, found in seen.times.items()
    ]
    lines = [
        "# The page of a large evaluation",
        "",
        f"Made by `{command}`; see there for what is done.",
        "",
        f"{len(ARMS)} arms, {len(held['facts']):,} facts. {seen.browser}, headless, drawn without a graphics card;"
        f" {platform.machine()}.",
        "",
        f"- On the page: {len(held['probes']):,} of {held['all']:,} probes with {answers:,} answers, {texts:,} of"
        f" {len(held['chunks']):,} passages with their text, {len(held['templates'])} templates for all prompts.",
        f"- Bytes: {whole:,}, of which {own:,} are the data of the answers and {whole - own:,} everything else.",
        f"- Writing report.json, report.md and report.html took {seconds:.1f} seconds of processor time.",
        f"- Frames of scrolling over {SLOW} ms: {slow} of {len(seen.frames)}. Elements at the end: {seen.elements:,}."
        f" Lines written to the console: {seen.complaints}.",
        "",
        "| what, in ms | median | 95% | longest |",
        "| --- | --- | --- | --- |",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def report(facts: int, wordings: int, keep: Path | None, command: str) -> str:
    """Make the page, visit it, and say what was seen."""
    with tempfile.TemporaryDirectory() as folder:
        page, seconds = written(facts, wordings, Path(folder))
        text = page.read_text("utf-8")
        seen = visit(page)
    if keep:
        write_text(keep, text)
    return figures(text, seconds, seen, command)


def main() -> None:
    """Print the page of figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", type=int, default=2000)
    parser.add_argument("--wordings", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="also keep the page that was measured")
    parser.add_argument("--out", type=Path, help="also write the figures to this file")
    given = parser.parse_args()
    command = f"python benchmarks/page.py --facts {given.facts} --wordings {given.wordings}"
    text = report(given.facts, given.wordings, given.keep, command)
    print(text)
    if given.out:
        write_text(given.out, text)


if __name__ == "__main__":
    main()
