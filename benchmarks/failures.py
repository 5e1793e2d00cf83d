"""Whether further rows cure what was not learnt: evaluate, write more for those facts alone, and train again.

    python benchmarks/failures.py [--seeds 1 2 3] [--steps 900] [--documents 40] [--folder DIR] [--out FILE]

What failed once fails less the next time, whatever is done, because it was chosen for having failed. So what is trained
with further rows is set against what is trained again without them: the same seeds, as many steps, the same facts. The
commands are those of a user: `kb eval --export-failures`, then `kb generate-qa --for-failures`. Shares are of the tuned
model without passages, each fact's averaged over the seeds; facts are the clusters of the intervals.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from retention import as_toml, averaged, difference, kb, percent, shares_of, thinned

from kb.corpora.demo import prepare
from kb.workspace import read_jsonl, write_text

FIRST, AGAIN, MORE = "first", "again", "more"
KINDS = ("held_out", "near_miss")
Shares = Mapping[str, Mapping[str, float]]
"""Kind of probe to fact to the share right."""


@dataclass(frozen=True)
class Arm:
    """A training, or several that differ in their seeds alone."""

    name: str
    rows: int
    """QA pairs that it was trained on."""
    shares: Shares


def trained(folder: Path, name: str, steps: int, seed: int, *more: str) -> Shares:
    """Train and evaluate in a folder, base against tuned unless `more` says otherwise; what is done already is not done
    again.
    """
    settings = tomllib.loads((folder / "kb.toml").read_text(encoding="utf-8"))
    settings["train"] |= {"seed": seed, "max_steps": steps}
    settings["eval"] = {"compare": "none", "rings": "none", "general_prompts": 0, "instructions": 0}
    file = folder / f"{name}.toml"
    write_text(file, as_toml(settings))
    kb(folder, "train", "--config", file.name, "--name", name)
    said = kb(folder, "eval", "--config", file.name, "--run", name, "--json", *more)
    answers = folder / ".kb" / "evals" / json.loads(said)["name"] / "answers.jsonl"
    return {kind: shares_of(answers, kind).get("tuned", {}) for kind in KINDS}


def rows_of(folder: Path) -> int:
    """The QA pairs of a folder's set."""
    return int(json.loads(kb(folder, "status", "--json"))["qa_pairs"])


def mean(runs: Sequence[Shares]) -> Shares:
    """Each fact's share, averaged over the runs that all have it."""
    return {kind: averaged([run[kind] for run in runs]) for kind in KINDS}


def page(arms: Sequence[Arm], failed: Mapping[str, Sequence[str]], given: argparse.Namespace) -> str:
    """The page, as Markdown; `failed` are the findings of the facts that were to be acted on."""
    seeds = " ".join(map(str, given.seeds))
    first, again, more = arms
    wanting = {
        "held_out": set(failed),
        "near_miss": {f for f, found in failed.items() if "near_miss_answered" in found},
    }
    lines = [
        "# One round of failures",
        "",
        f"Made by `python benchmarks/failures.py --seeds {seeds} --steps {given.steps} --documents {given.documents}`.",
        "Shares right of the tuned model without passages, each fact's averaged over the seeds; 95% intervals with",
        "facts as clusters. What failed once fails less when it is trained again, whatever is done: so further rows",
        "are set against training again without them.",
        "",
        f"{first.rows} QA pairs, and {more.rows} with what was written for {len(failed)} facts; as many steps each.",
        "",
        "| right | facts | first | again | with further rows | further rows - again | p |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in KINDS:
        there = set(first.shares[kind]) & set(again.shares[kind]) & set(more.shares[kind])
        for label, facts in (("that failed", there & wanting[kind]), ("the others", there - wanting[kind])):
            if facts:
                parts = [{fact: arm.shares[kind][fact] for fact in facts} for arm in arms]
                means = " | ".join(percent(sum(part.values()) / len(part)) for part in parts)
                said = difference(parts[2], parts[1])
                lines.append(f"| {kind.replace('_', ' ')}, {label} | {len(facts)} | {means} | {said} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int, default=900, help="SFT steps of every training")
    parser.add_argument("--documents", type=int, default=0, help="so many of the handbook's alone; 0: all")
    parser.add_argument("--folder", type=Path, help="work here, and go on with what is there")
    parser.add_argument("--out", type=Path, help="also write the page to this file")
    given = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    folder = given.folder or Path(tempfile.mkdtemp(prefix="kb-failures-"))
    plain, further = folder / "plain", folder / "further"
    docs = prepare(plain)
    thinned(plain / docs, sorted((plain / docs).rglob("*.*")), given.documents)
    kb(plain, "ingest", str(docs))
    kb(plain, "generate-qa")
    begun = trained(plain, FIRST, given.steps, 0, "--compare", "rag", "--export-failures")
    found = read_jsonl(next((plain / ".kb" / "evals").glob(f"{FIRST}-*/failures.jsonl")))
    if not further.exists():
        shutil.copytree(plain, folder / ".part", dirs_exist_ok=True)
        (folder / ".part").rename(further)
    write_text(further / "failures.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found))
    kb(further, "generate-qa", "--for-failures", "failures.jsonl")
    arms = [Arm(FIRST, rows_of(plain), begun)]
    for name, place in ((AGAIN, plain), (MORE, further)):
        runs = [trained(place, f"{name}-{seed}", given.steps, seed) for seed in given.seeds]
        arms.append(Arm(name, rows_of(place), mean(runs)))
    made = page(arms, {row["fact_id"]: row["findings"] for row in found}, given)
    print(made)
    if given.out:
        write_text(given.out, made)


if __name__ == "__main__":
    main()
