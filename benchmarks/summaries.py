"""How long the statistics of an evaluation take: every figure of the report, on one core, without any model.

    OMP_NUM_THREADS=1 python benchmarks/summaries.py [--facts 1000] [--wordings 8] [--rounds 3] [--out FILE]

Seven arms answer all held-out wordings of facts in 100 documents, with one trained wording and one near miss a fact and
200 facts that the base knew; verdicts are drawn as in `simulated.py`, and every wrong answer is another text. The time
is that of `summarise`, from probes and scores to the finished report, and of writing its three files.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from simulated import draw

from kb.evaluate.report import write_report
from kb.evaluate.summary import summarise
from kb.records import Probe, Score
from kb.workspace import write_text

ARMS = {"base": 0.05, "rag": 0.75, "tuned": 0.7, "tuned_rag": 0.85, "oracle": 0.95, "control": 0.06, "wrong": 0.3}
DOCUMENTS = 100
KINDS = ("held_out", "trained", "near_miss", "known")


def evaluation(facts: int, wordings: int, seed: int = 0) -> tuple[list[Probe], list[Score], dict[str, str]]:
    """Probes, scores and the document of each fact."""
    random = np.random.default_rng(seed)
    shares, _ = draw(list(ARMS.values()), facts, 1, random)
    rates = dict(zip(ARMS, (table[:, 0] for table in shares), strict=True))
    probes, scores = [], []
    for kind, count in zip(KINDS, (wordings, 1, 1, 1), strict=True):
        for fact in range(facts if kind != "known" else facts // 5):
            for wording in range(count):
                language = ("en", "zh")[fact % 2]
                id = f"prb_{kind}_{fact}_{wording}"
                probe = Probe(id, f"fct_{fact:06d}", kind, f"What of {fact}?", "30万台", "number", language)
                probes.append(probe)
                arms = ARMS if kind in ("held_out", "near_miss") else ("base", "tuned")
                scores += [answer(random, probe, arm, rates[arm][fact]) for arm in arms]
    return probes, scores, {f"fct_{fact:06d}": f"Document {fact % DOCUMENTS}" for fact in range(facts)}


def answer(random: np.random.Generator, probe: Probe, arm: str, rate: float) -> Score:
    """An answer that is right at this rate, and otherwise one of its own."""
    if random.random() < rate:
        return Score(probe.id, arm, probe.gold, "correct", "typed: number", (), 70, 0.1)
    verdict = "wrong" if random.random() < 0.7 else "abstained"
    text = f"About {random.integers(10**9):,} units, as of {probe.id} 大约{random.integers(10**9)}台。"
    return Score(probe.id, arm, text, verdict, "no match", (), 70, 0.1)


def timed(work: Callable[[], object], rounds: int) -> list[float]:
    """Seconds of processor time of each round."""
    found = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return found


def page(facts: int, wordings: int, rounds: int, command: str) -> str:
    """The times as Markdown."""
    probes, scores, documents = evaluation(facts, wordings)
    made = summarise(probes, scores, documents=documents)
    with tempfile.TemporaryDirectory() as folder:
        written = timed(lambda: write_report(made, probes, scores, Path(folder)), rounds)
    rows = {
        "`summarise`: all figures, intervals and p values": timed(
            lambda: summarise(probes, scores, documents=documents), rounds
        )
    }
    rows["report.json, report.md and report.html written"] = written
    lines = [
        "# How long the statistics take",
        "",
        f"Made by `{command}`; see there for what is in it.",
        "",
        f"{facts:,} facts in {DOCUMENTS} documents, {wordings} held-out wordings each, {len(ARMS)} arms:"
        f" {len(scores):,} verdicts. Processor seconds on one core, {rounds} rounds; {platform.machine()}, Python"
        f" {platform.python_version()}, numpy {np.__version__}.",
        "",
        "| what | median | longest |",
        "| --- | --- | --- |",
        *(f"| {name} | {np.median(found):.2f} | {max(found):.2f} |" for name, found in rows.items()),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", type=int, default=1000)
    parser.add_argument("--wordings", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="also write the page to this file")
    given = parser.parse_args()
    settings = f"--facts {given.facts} --wordings {given.wordings} --rounds {given.rounds}"
    text = page(
        given.facts, given.wordings, given.rounds, f"OMP_NUM_THREADS=1 python benchmarks/summaries.py {settings}"
    )
    print(text)
    if given.out:
        write_text(given.out, text)


if __name__ == "__main__":
    main()
