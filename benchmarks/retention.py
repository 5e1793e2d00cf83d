"""Retention on the handbook over several seeds, with one training wording a fact and with five: the paraphrase effect.

    python benchmarks/retention.py [--seeds 0 1 2] [--wordings 1 5] [--steps 900]
        [--learning-rate RATE] [--folder DIR] [--out FILE]

Runs the `kb` commands a user runs: ingest and generate-qa once, then train and eval for each wording count and seed.
Every training has the same number of SFT steps, whatever the wordings. Every wording count has a copy of the folder,
and as many are worked on at once as there are cores.
The intervals are those of kb's report (facts are the clusters); the range over seeds stands beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kb.corpora.demo import prepare
from kb.evaluate import pvalues, stats
from kb.workspace import write_text

KB = str(Path(sys.executable).with_name("kb"))
SHOWN = ("base", "rag", "tuned", "tuned_rag", "oracle")


@dataclass(frozen=True)
class Outcome:
    """One training run, evaluated."""

    wordings: int
    seed: int
    report: dict[str, Any]
    shares: dict[str, dict[str, float]]
    """Per arm and fact, the share of held-out wordings answered right."""

    def arm(self, name: str) -> dict[str, Any]:
        """The summary of an arm."""
        found: dict[str, Any] = next(arm for arm in self.report["arms"] if arm["arm"] == name)
        return found


INCOMPLETE = 4
"""Exit code when an answer ran into the token limit, say: the report counts it as unparsed."""


def kb(folder: Path, *words: str) -> str:
    """Run a command in `folder` and return what it prints. Raises CalledProcessError when it fails."""
    print(f"$ kb {' '.join(words)}", file=sys.stderr, flush=True)
    done = subprocess.run([KB, *words], cwd=folder, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode != INCOMPLETE:
        done.check_returncode()
    return done.stdout


def outcome(folder: Path, wordings: int, seed: int, changes: dict[str, Any]) -> Outcome:
    """Train and evaluate under one setting; what is done already is not done again."""
    settings = tomllib.loads((folder / "kb.toml").read_text(encoding="utf-8"))
    settings["train"] |= {"seed": seed, "wordings": wordings} | changes
    name = f"w{wordings}-s{seed}"
    file = folder / f"{name}.toml"
    write_text(file, as_toml(settings))
    kb(folder, "train", "--config", file.name, "--name", name)
    said = kb(folder, "eval", "--compare", "rag", "--config", file.name, "--run", name, "--json")
    report = json.loads(said)
    return Outcome(wordings, seed, report, shares_of(folder / ".kb" / "evals" / report["name"] / "answers.jsonl"))


def shares_of(answers: Path, kind: str = "held_out") -> dict[str, dict[str, float]]:
    """Per arm and fact, the share of one kind of probe, held-out wordings, answered right in an evaluation."""
    right: dict[str, dict[str, list[bool]]] = {}
    for line in answers.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["kind"] == kind:
            right.setdefault(row["arm"], {}).setdefault(row["fact_id"], []).append(row["verdict"] == "correct")
    return {arm: {fact: sum(each) / len(each) for fact, each in facts.items()} for arm, facts in right.items()}


def outcomes_of(folder: Path, wordings: int, seeds: list[int], changes: dict[str, Any]) -> list[Outcome]:
    """The outcomes of all seeds with this many wordings, in a copy of the folder."""
    own = folder / f"w{wordings}"
    if not own.exists():
        part = folder / f".w{wordings}"
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(folder, part, ignore=shutil.ignore_patterns("w[0-9]*", ".w[0-9]*"))
        part.rename(own)
    return [outcome(own, wordings, seed, changes) for seed in seeds]


def thinned(docs: Path, among: Sequence[Path], documents: int) -> None:
    """Leave at most so many of some files in a folder, 0: all of them, and no other.

    They are taken at even distances, so of both languages and every format.
    """
    some = 0 < documents < len(among)
    kept = {among[at * len(among) // documents] for at in range(documents)} if some else set(among)
    for file in docs.rglob("*.*"):
        if file not in kept:
            file.unlink()


def as_toml(settings: dict[str, dict[str, Any]]) -> str:
    """Sections of strings, numbers and booleans as TOML, which spells these as JSON does."""
    sections = (
        "\n".join([f"[{name}]", *(f"{k} = {json.dumps(v)}" for k, v in s.items())]) for name, s in settings.items()
    )
    return "\n\n".join(sections) + "\n"


def percent(value: float) -> str:
    """A share as the tables print it: .953."""
    return f"{value:.3f}".removeprefix("0") if value < 1 else "1.00"


def interval(found: dict[str, float]) -> str:
    """A share with its 95% interval."""
    return f"{percent(found['value'])} [{percent(found['low'])}, {percent(found['high'])}]"


def spread(values: list[float]) -> str:
    """Mean and range over seeds."""
    return f"{percent(sum(values) / len(values))} ({percent(min(values))} to {percent(max(values))})"


def table(outcomes: list[Outcome], changes: dict[str, Any]) -> str:
    """The Markdown page."""
    seeds = " ".join(str(seed) for seed in sorted({one.seed for one in outcomes}))
    rate = f" --learning-rate {changes['learning_rate']:g}" if "learning_rate" in changes else ""
    lines = [
        "# Retention on the handbook",
        "",
        f"Made by `python benchmarks/retention.py --seeds {seeds}{rate}`.",
        "Held-out wordings; 95% intervals with facts as clusters.",
        "",
        f"Every training has {changes['max_steps']} SFT steps on batches of the same size: fewer wordings are repeated"
        " more often.",
        "",
        "| wordings | seed | "
        + " | ".join(SHOWN)
        + " | tuned, trained wording | tuned, all right | rings: known, reading, never, near misses, unanswerable |",
        "|" + " --- |" * (len(SHOWN) + 5),
    ]
    for one in outcomes:
        cells = [interval(one.arm(name)["correct"]) for name in SHOWN]
        tuned = one.arm("tuned")
        rings = ", ".join(f"{percent(r['base']['value'])}→{percent(r['tuned']['value'])}" for r in one.report["rings"])
        extra = [interval(tuned["trained"]), interval(tuned["all_right"]), rings]
        lines.append(f"| {one.wordings} | {one.seed} | " + " | ".join(cells + extra) + " |")
    lines += [
        "",
        "Means over seeds (range):",
        "",
        "| wordings | tuned | trained minus held-out |",
        "| --- | --- | --- |",
    ]
    for wordings, runs in by_wordings(outcomes).items():
        held = [one.arm("tuned")["correct"]["value"] for one in runs]
        lines.append(f"| {wordings} | {spread(held)} | {spread([one.arm('tuned')['gap']['value'] for one in runs])} |")
    lines += [
        "",
        "Differences, each fact's shares averaged over the seeds first; intervals with facts as clusters, sign-flip p:",
        "",
        "| difference | mean | p |",
        "| --- | --- | --- |",
        *(f"| {name} | {difference(first, second)} |" for name, first, second in pairs(by_wordings(outcomes))),
    ]
    return "\n".join(lines) + "\n"


def by_wordings(outcomes: list[Outcome]) -> dict[int, list[Outcome]]:
    """The outcomes of all seeds under their number of wordings, the smallest number first."""
    return {w: [one for one in outcomes if one.wordings == w] for w in sorted({one.wordings for one in outcomes})}


def pairs(found: dict[int, list[Outcome]]) -> list[tuple[str, dict[str, float], dict[str, float]]]:
    """What is compared: the tuned arms with RAG under each number of wordings, the most wordings with the fewest."""
    compared = [
        (f"{arm} - rag, wordings {wordings}", mean_shares(runs, arm), mean_shares(runs, "rag"))
        for wordings, runs in found.items()
        for arm in ("tuned", "tuned_rag")
    ]
    fewest, most = min(found), max(found)
    if fewest < most:
        compared += [
            (f"{arm}, wordings {most} - {fewest}", mean_shares(found[most], arm), mean_shares(found[fewest], arm))
            for arm in ("tuned", "tuned_rag")
        ]
    return compared


def mean_shares(runs: list[Outcome], arm: str) -> dict[str, float]:
    """Each fact's share of held-out wordings answered right, averaged over the seeds."""
    return {fact: sum(one.shares[arm][fact] for one in runs) / len(runs) for fact in runs[0].shares[arm]}


def averaged(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Each fact's share, averaged over the runs; without the facts that one of them lacks."""
    everywhere = [fact for fact in runs[0] if all(fact in run for run in runs)]
    return {fact: sum(run[fact] for run in runs) / len(runs) for fact in everywhere}


def difference(first: dict[str, float], second: dict[str, float]) -> str:
    """Two cells: the mean paired difference with its interval, and the p value."""
    facts = sorted(first.keys() & second.keys())
    one, other = (np.array([shares[fact] for fact in facts]) for shares in (first, second))
    found = stats.difference_interval(one, other)
    p = pvalues.sign_flip((one - other)[:, None])[0]
    shown = f"{p:.3f}" if p >= 0.001 else "< .001"
    return f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}] | {shown}" if found else "none |"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--wordings", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--steps", type=int, default=900, help="SFT steps of every training")
    parser.add_argument("--folder", type=Path, help="work here, and go on with what is there")
    parser.add_argument("--out", type=Path, help="also write the page to this file")
    parser.add_argument("--learning-rate", type=float, help="instead of the demo's")
    given = parser.parse_args()
    changes = {"max_steps": given.steps}
    if given.learning_rate:
        changes["learning_rate"] = given.learning_rate
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    folder = given.folder or Path(tempfile.mkdtemp(prefix="kb-retention-"))
    docs = prepare(folder)
    kb(folder, "ingest", str(docs))
    kb(folder, "generate-qa")
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // len(given.wordings))))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        rows = pool.map(lambda wordings: outcomes_of(folder, wordings, given.seeds, changes), given.wordings)
        outcomes = [one for row in rows for one in row]
    page = table(outcomes, changes)
    print(page)
    if given.out:
        write_text(given.out, page)


if __name__ == "__main__":
    main()
