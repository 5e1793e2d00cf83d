"""What tuning on other documents does to questions about these: form, and no knowledge.

    python benchmarks/control.py [--steps 400] [--seeds 1 2 3] [--documents 20] [--folder DIR] [--out FILE]

The handbook's documents are parted in two: one half is taught, the other half makes the control, tuned in the same way
on questions of the same kinds. Both are asked about the first half (`kb eval --compare control:WORKSPACE`). What the
control has above the base is how to answer, what the tuned model has above the control is knowledge. Facts that a
document of the other half tells as well are left out. Each fact's shares are averaged over the seeds; facts are the
clusters of the intervals.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from retention import as_toml, averaged, difference, kb, percent, thinned

from kb.corpora.demo import prepare
from kb.corpora.handbook import bundled
from kb.records import Fact
from kb.text.canonical import canonical
from kb.workspace import Workspace, read_jsonl, write_text

TAUGHT, OTHER = "taught", "other"
ARMS = ("base", "control", "tuned")
KINDS = {"held_out": "held-out wordings", "near_miss": "near misses", "unanswerable": "questions without an answer"}
VERDICTS = ("correct", "wrong", "abstained")
Shares = Mapping[tuple[str, str, str], Mapping[str, float]]
"""Arm, kind and verdict to fact (or the chunk of a question without one) to the share of its answers."""


def made(folder: Path, half: int, documents: int) -> Path:
    """A folder with every other document of the handbook, ingested, and its generated set."""
    docs, source = folder / prepare(folder), bundled() / "docs"
    thinned(docs, [docs / file.relative_to(source) for file in sorted(source.rglob("*.*"))[half::2]], documents)
    kb(folder, "ingest", "docs")
    kb(folder, "generate-qa")
    return folder


def settings(folder: Path, name: str, steps: int, seed: int) -> str:
    """The file with the settings of a training and its evaluation."""
    found = tomllib.loads((folder / "kb.toml").read_text(encoding="utf-8"))
    found["train"] |= {"seed": seed, "max_steps": steps}
    found["eval"] = {"general_prompts": 0, "instructions": 0, "rings": "none"}
    write_text(folder / f"{name}.toml", as_toml(found))
    return f"{name}.toml"


def evaluated(folder: Path, other: Path, steps: int, seed: int) -> Shares:
    """Both trained with a seed, and asked about what the one was taught; what is done already is not done again."""
    name = f"s{seed}"
    for place in (folder, other):
        kb(place, "train", "--config", settings(place, name, steps, seed), "--name", name)
    # The control is the run in use there.
    kb(other, "adapters", "use", name)
    compared = ("--compare", "rag", "--compare", f"control:{other / '.kb'}")
    said = kb(folder, "eval", *compared, "--config", f"{name}.toml", "--run", name, "--json")
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for row in read_jsonl(folder / ".kb" / "evals" / json.loads(said)["name"] / "answers.jsonl"):
        if row["arm"] in ARMS and row["kind"] in KINDS:
            found.setdefault((row["arm"], row["kind"]), {}).setdefault(row["fact_id"], []).append(row["verdict"])
    return {
        (arm, kind, verdict): {fact: each.count(verdict) / len(each) for fact, each in facts.items()}
        for (arm, kind), facts in found.items()
        for verdict in VERDICTS
    }


def told_twice(folder: Path, other: Path) -> set[str]:
    """Facts of the one folder that are stated in the other as well."""
    theirs = {canonical(fact.statement) for fact in facts(other)}
    return {fact.id for fact in facts(folder) if canonical(fact.statement) in theirs}


def facts(folder: Path) -> list[Fact]:
    """The facts of a folder."""
    store = Workspace(folder / ".kb").store
    found = store.all(Fact)
    store.close()
    return found


def mean(runs: Sequence[Shares]) -> Shares:
    """Each fact's share, averaged over the runs that all have it."""
    return {key: averaged([run[key] for run in runs]) for key in runs[0]}


def page(shares: Shares, left_out: set[str], given: argparse.Namespace) -> str:
    """The Markdown page."""
    seeds = " ".join(map(str, given.seeds))
    lines = [
        "# The format-only control",
        "",
        f"Made by `python benchmarks/control.py --steps {given.steps} --seeds {seeds} --documents {given.documents}`.",
        f"{given.steps} steps each; {len(left_out)} facts that both halves tell are left out.",
        "",
        "| probes | verdict | facts | base | control | tuned | control - base | p | tuned - control | p |",
        "|" + " --- |" * 10,
    ]
    for kind, label in KINDS.items():
        # To decline what has no answer is right, and counted so.
        for verdict in VERDICTS if kind == "held_out" else VERDICTS[:2]:
            if (ARMS[0], kind, verdict) not in shares:
                continue
            parts = [
                {fact: share for fact, share in shares[arm, kind, verdict].items() if fact not in left_out}
                for arm in ARMS
            ]
            there = " | ".join(percent(sum(part.values()) / len(part)) for part in parts)
            base, control, tuned = parts
            told = f"{difference(control, base)} | {difference(tuned, control)}"
            lines.append(f"| {label} | {verdict} | {len(base)} | {there} | {told} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400, help="SFT steps of every training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--documents", type=int, default=20, help="at most so many of each half")
    parser.add_argument("--folder", type=Path, help="work here, and go on with what is there")
    parser.add_argument("--out", type=Path, help="also write the page to this file")
    given = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    folder = (given.folder or Path(tempfile.mkdtemp(prefix="kb-control-"))).resolve()
    taught, other = (made(folder / name, half, given.documents) for half, name in enumerate((TAUGHT, OTHER)))
    shares = mean([evaluated(taught, other, given.steps, seed) for seed in given.seeds])
    text = page(shares, told_twice(taught, other), given)
    print(text)
    if given.out:
        write_text(given.out, text)


if __name__ == "__main__":
    main()
