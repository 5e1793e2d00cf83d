"""All that `kb eval --compare rag` tells: the handbook, with every kind of question and of training row that there is.

    python benchmarks/whole.py [--documents 40] [--others 8] [--steps 0] [--others-steps 200] [--seed 0] [--folder DIR]
        [--out FILE]

The lab model writes no prose and asks no question the other way round, so that the demo's set has none. Here an oracle,
a model that knows the truth about the handbook, writes a set of all kinds; the lab model is trained on it, and a second
one on other documents of its world, for the control. The evaluation is one command, and the page is the Markdown that
it writes. Ends in an error where an arm, a kind of question or one of the checks is not in its report.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from retention import as_toml, kb, thinned

from kb.corpora.demo import prepare
from kb.corpora.documents import STYLES, compose
from kb.corpora.handbook import FACTS_EACH, bundled, fact_row
from kb.corpora.oracle import Oracle, Truth, truths_of_rows
from kb.corpora.rendering import render
from kb.corpora.world import KINDS, LANGUAGES, draw_entity
from kb.llm.fake import FakeLLM
from kb.progress import duration
from kb.prompt import Prompts
from kb.qa_gen.config import GenerateConfig
from kb.qa_gen.run import run as generate
from kb.retrieval.hybrid import RetrievalConfig, open_retriever
from kb.workspace import Workspace, read_jsonl, write_text

TAUGHT, OTHER, RUN = "taught", "other", "whole"
ARMS = {
    "base", "rag", "tuned", "tuned_rag", "oracle", "tuned_oracle", "wrong", "tuned_wrong", "hybrid", "control",
}  # fmt: skip
PROBES = {
    "held_out", "trained", "near_miss", "unanswerable", "reversed", "cross_lingual", "text_only", "placebo", "known",
    "never", "reading",
}  # fmt: skip
"""What has to be in the answers."""


def others(folder: Path, documents: int) -> list[Truth]:
    """Documents of the lab model's world about entities that the handbook does not name; returns what they state."""
    docs = folder / prepare(folder)
    for file in docs.rglob("*.*"):
        file.unlink()
    taken = {row["entity"] for row in read_jsonl(bundled() / "facts.jsonl")}
    rows = []
    for number in range(documents):
        language, rng = LANGUAGES[number % len(LANGUAGES)], random.Random(f"others {number}")
        about = [draw_entity(rng, language, kind, taken) for kind in rng.sample(KINDS, 2)]
        taken |= {entity.name for entity in about}
        document = compose(rng, about, FACTS_EACH, STYLES[number % len(STYLES)])
        name = f"{language}/{number:02d}.md"
        (docs / language).mkdir(parents=True, exist_ok=True)
        render(document, docs / name, "utf-8")
        rows += [fact_row(name, fact) for section in document.sections for fact in section.facts]
    return truths_of_rows(rows)


def handbook_truths() -> list[Truth]:
    """What the handbook states, and what can be asked of it that it does not."""
    missing: dict[str, tuple[str, ...]] = {}
    for row in read_jsonl(bundled() / "unanswerable.jsonl"):
        missing[row["entity"]] = (*missing.get(row["entity"], ()), *row["questions"])
    truths = truths_of_rows(list(read_jsonl(bundled() / "facts.jsonl")))
    return [replace(truth, missing=missing.get(truth.name, ())) for truth in truths]


def generated(folder: Path, truths: list[Truth], **settings: Any) -> None:
    """Ingest a folder's documents, and have the oracle write their set, of all kinds unless `settings` say else."""
    kb(folder, "ingest", "docs")
    workspace = Workspace(folder / ".kb")
    # How often the base knows an answer is asked of the base, which the oracle is not.
    config = GenerateConfig(**({"cross_lingual": True, "known_samples": 0} | settings))
    retriever = open_retriever(workspace, RetrievalConfig())
    generate(workspace, config, FakeLLM(Oracle(truths), "oracle"), Prompts(), retriever)
    workspace.store.close()


def configure(folder: Path, changes: Mapping[str, Mapping[str, Any]]) -> None:
    """Change settings of a folder."""
    found = tomllib.loads((folder / "kb.toml").read_text(encoding="utf-8"))
    for section, values in changes.items():
        found[section] = found.get(section, {}) | values
    write_text(folder / "kb.toml", as_toml(found))


def missing(answers: Path) -> Iterator[str]:
    """Arms and kinds of questions that no answer is of."""
    rows = list(read_jsonl(answers))
    for what, wanted in (("arm", ARMS), ("kind", PROBES)):
        yield from sorted(f"{what} {name}" for name in wanted - {row[what] for row in rows})


def trained(folder: Path, steps: int, seed: int) -> None:
    """Train on a folder's set, with everything asked in the evaluation; what is done already is not done again."""
    configure(folder, {"train": {"seed": seed} | ({"max_steps": steps} if steps else {}), "eval": {"instructions": 40}})
    kb(folder, "train", "--name", RUN)


def quoted(about: list[str], report: str) -> str:
    """A page of a report that `kb eval` wrote, below what is to be said of it, its headings one step down."""
    lines = (f"#{line}" if line.startswith("#") else line for line in report.splitlines())
    return "\n".join([*about, "Below the line is what `kb eval --markdown` wrote.", "", "---", "", *lines]) + "\n"


def page(report: str, seconds: float, given: argparse.Namespace) -> str:
    """The Markdown page around the report."""
    command = f"--documents {given.documents} --others {given.others} --steps {given.steps}"
    command += f" --others-steps {given.others_steps} --seed {given.seed}"
    about = [
        "# The whole report on the handbook",
        "",
        f"Made by `python benchmarks/whole.py {command}`:",
        f"`kb eval --compare rag --compare control:WORKSPACE` took {duration(seconds)} on {os.cpu_count()} cores.",
    ]
    return quoted(about, report)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=40, help="of the handbook")
    parser.add_argument("--others", type=int, default=8, help="documents of the control")
    parser.add_argument("--steps", type=int, default=0, help="SFT steps; 0: as many as the demo's epochs have")
    parser.add_argument("--others-steps", type=int, default=200, help="SFT steps of the control; 0: as above")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="work here, and go on with what is there")
    parser.add_argument("--out", type=Path, help="also write the page to this file")
    given = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    folder = (given.folder or Path(tempfile.mkdtemp(prefix="kb-whole-"))).resolve()
    taught, other = folder / TAUGHT, folder / OTHER
    docs = taught / prepare(taught)
    thinned(docs, sorted(docs.rglob("*.*")), given.documents)
    generated(taught, handbook_truths())
    trained(taught, given.steps, given.seed)
    generated(other, others(other, given.others))
    trained(other, given.others_steps, given.seed)
    began = time.monotonic()
    compared = ("--compare", "rag", "--compare", f"control:{other / '.kb'}")
    said = json.loads(kb(taught, "eval", *compared, "--markdown", "report.md", "--json"))
    report = (taught / "report.md").read_text(encoding="utf-8").replace(str(folder), "FOLDER")
    text = page(report, time.monotonic() - began, given)
    print(text)
    lacking = list(missing(taught / ".kb" / "evals" / said["name"] / "answers.jsonl"))
    if lacking:
        raise SystemExit(f"not in the report: {', '.join(lacking)}")
    if given.out:
        write_text(given.out, text)


if __name__ == "__main__":
    main()
