"""Retention on held-out wordings by dose and mix: tellings a fact (1, 2, 5, 10), as questions, as prose, as both.

    python benchmarks/doses.py [--seeds 0 1 2] [--doses 1 2 5 10] [--steps 150] [--workers N]
        [--folder DIR] [--out FILE]

What is taught is written from the truth (`tellings.py`), trained by kb's own SFT and asked by kb's own evaluation, so
that the runs differ in their tellings and in nothing else. A run that is done is kept in the folder and not done again.
The intervals are those of kb's report: facts are the clusters, their shares averaged over the seeds.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from doses_page import Outcome, draw, page
from tellings import HELD, MIXES, MOST, Cell, taught_facts, write_set

from kb.config import read_settings
from kb.corpora.demo import prepare
from kb.evaluate.arms import ARMS, Asker
from kb.evaluate.probes import document_probes, leaked, ring_probes
from kb.evaluate.scorers import score
from kb.finetune.config import TrainConfig
from kb.finetune.run import run
from kb.ingest.config import IngestConfig
from kb.ingest.run import run as ingest
from kb.llm import ModelConfig, ask, open_model
from kb.llm.open import lab_folder
from kb.offline import switch_off_telemetry
from kb.prompt import Prompts, open_pack
from kb.records import Score
from kb.retrieval.hybrid import RetrievalConfig, Retriever, open_retriever
from kb.workspace import Workspace, read_jsonl, write_json, write_jsonl, write_text

REPLAYED = ("recall", "abstain")
"""Rows of the lab model's replay that are mixed in: the closed-book ones, whose loss the rings measure. Without its
long reading rows a run costs half."""
TELL = {"en": "Tell me what you know: $about", "zh": "请告诉我：$about"}
"""The prompt of the prose rows, as short as those of the lab's pack, which has none: of kb's own most words are unknown
to the lab model and are spelled out."""


@dataclass(frozen=True)
class Setting:
    """What all runs have in common."""

    steps: int
    batch: int = 24
    replay: float = 0.3
    """Share of all rows."""
    learning_rate: float = 2e-3
    share: float = 0.3
    """Of the handbook's documents: about ninety facts, so that a run takes a minute or two on one core."""


def grid(doses: list[int]) -> list[Cell]:
    """The cells, in the order they are trained: each mix at each dose, then the middle dose with negatives."""
    cells = [Cell(mix, dose) for mix in MIXES for dose in doses if dose > 1 or mix != "1:1"]
    middle = max((dose for dose in doses if dose <= 5), default=min(doses))
    return [*cells, Cell("QA", middle, True), *([Cell("1:1", middle, True)] if middle > 1 else [])]


def begin(folder: Path) -> None:
    """Put documents, chunks, prompts and replay rows into the folder; what is there is left."""
    docs = folder / prepare(folder)
    if not (folder / "prompts").exists():
        shutil.copytree(lab_folder() / "prompts", folder / "prompts")
    for language, text in TELL.items():
        write_text(folder / "prompts" / f"tell.{language}.txt", text)
    rows = read_jsonl(lab_folder() / "replay.jsonl")
    write_jsonl(folder / "replay.jsonl", [row for row in rows if row["task"] in REPLAYED])
    config = read_settings(folder / "kb.toml").resolve(IngestConfig, "ingest")[0]
    workspace = Workspace(folder / ".kb", create=True)
    with workspace.lock():
        ingest([docs], config, workspace, show=False)
    workspace.store.close()


def result_file(folder: Path, cell: Cell, seed: int) -> Path:
    """Where a run's result is kept."""
    return folder / "results" / f"{cell.name}-s{seed}.json"


def done(folder: Path, setting: Setting, cell: Cell, seed: int) -> Outcome | None:
    """The kept result of a run, where it was made under these settings."""
    file = result_file(folder, cell, seed)
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return Outcome.of(found) if found.get("setting") == asdict(setting) else None


@dataclass(frozen=True)
class Place:
    """A copy of the workspace with what a run teaches and the probes."""

    workspace: Workspace
    prompts: Prompts
    retriever: Retriever
    facts: int
    config: TrainConfig
    """As the folder's kb.toml has it."""


@contextmanager
def placed(folder: Path, name: str, share: float, cell: Cell, seed: int) -> Iterator[Place]:
    """The place of a run, which is removed after it."""
    place = folder / "runs" / name
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(folder / ".kb", place)
    workspace = Workspace(place)
    facts = taught_facts(workspace.store, folder / "docs", share)
    write_set(workspace.store, facts, cell, seed)
    config = read_settings(folder / "kb.toml").resolve(TrainConfig, "train")[0]
    retriever = open_retriever(workspace, RetrievalConfig(embedder="none", top_k=2))
    yield Place(workspace, open_pack(str(folder / "prompts")), retriever, len(facts), config)
    workspace.store.close()
    shutil.rmtree(place)


def one_run(folder: Path, setting: Setting, cell: Cell, seed: int) -> Outcome:
    """Teach one cell in a copy of the workspace, ask all probes, and keep the result."""
    began, worked = time.monotonic(), time.process_time()
    model = ModelConfig("lab", load_in_4bit=False)
    with placed(folder, f"{cell.name}-s{seed}", setting.share, cell, seed) as at:
        config = replace(
            at.config,
            stages=("sft",), seed=seed, max_steps=setting.steps, batch_size=setting.batch, micro_batch=setting.batch,
            rank=32, alpha=64, learning_rate=setting.learning_rate, reading_share=0.0, checkpoints=1,
            replay=str(folder / "replay.jsonl"), replay_share=setting.replay, watch=False,
        )  # fmt: skip
        report = run(at.workspace, config, model, at.prompts, at.retriever)
        found = shares(at, report.adapter, model)
    result = {
        "setting": asdict(setting), "cell": asdict(cell), "seed": seed, "facts": at.facts, "rows": report.rows,
        "loss": report.metrics["sft"]["loss"], "seconds": round(time.monotonic() - began),
        "cpu_seconds": round(time.process_time() - worked),
        "shares": found,
    }  # fmt: skip
    write_json(result_file(folder, cell, seed), result)
    return Outcome.of(result)


def answers(
    at: Place, adapter: Path | None, model: ModelConfig, reading: bool = False
) -> Iterator[tuple[str, str, Score]]:
    """Kind, fact and score of every probe of the documents and of the closed-book rings, asked without passages; with
    `reading` also of the ring of questions that come with passages of their own.
    """
    store, arm = at.workspace.store, ARMS["tuned"]
    rings = [probe for probe in ring_probes(lab_folder() / "rings.jsonl") if reading or probe.kind != "reading"]
    probes = [*document_probes(store, HELD, 0), *rings]
    if leaks := leaked(store, probes):
        raise SystemExit(f"{len(leaks)} probes are trained, such as: {leaks[0].question}")
    llm = open_model(model, store, adapter)
    asked = Asker(at.prompts, lambda: at.retriever, store).ask(arm, probes)
    results = ask(llm, store, [one.item for one in asked], str.strip, "doses", attempts=1, cut=True)
    for one, result in zip(asked, results, strict=True):
        yield one.probe.kind, one.probe.fact_id, score(arm, one, result)
    llm.close()


def shares(at: Place, adapter: Path | None, model: ModelConfig, reading: bool = False) -> dict[str, dict[str, float]]:
    """By kind of probe and fact, the share of the probes that `answers` finds right."""
    right: dict[str, dict[str, list[bool]]] = {}
    for kind, fact, said in answers(at, adapter, model, reading):
        right.setdefault(kind, {}).setdefault(fact, []).append(said.verdict == "correct")
    return {kind: {fact: sum(each) / len(each) for fact, each in own.items()} for kind, own in right.items()}


def one_thread() -> None:
    """Of a worker: torch on one thread, however many cores there are."""
    import torch

    switch_off_telemetry()
    torch.set_num_threads(1)


def all_runs(folder: Path, setting: Setting, cells: list[Cell], seeds: list[int], workers: int) -> list[Outcome]:
    """The outcomes of all cells and seeds, trained seed by seed; those that are kept are not trained again."""
    wanted = [(cell, seed) for seed in seeds for cell in cells]
    missing = [one for one in wanted if not done(folder, setting, *one)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=one_thread) as pool:
        jobs = [pool.submit(one_run, folder, setting, *one) for one in missing]
        for (cell, seed), job in zip(missing, jobs, strict=True):
            found = job.result()
            means = ", ".join(f"{kind} {found.mean(kind):.3f}" for kind in found.shares)
            print(f"{cell.name} seed {seed}: {means}; {found.cpu_seconds} s", file=sys.stderr, flush=True)
    return [found for one in wanted if (found := done(folder, setting, *one))]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--doses", type=int, nargs="+", default=[1, 2, 5, 10], choices=range(1, MOST + 1))
    parser.add_argument("--steps", type=int, default=150, help="SFT steps of every training")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="trainings at once, a core each")
    parser.add_argument("--folder", type=Path, help="work here, and go on with what is there")
    parser.add_argument("--out", type=Path, help="also write the page to this file, and the curves beside it")
    given = parser.parse_args()
    if given.out and not importlib.util.find_spec("matplotlib"):
        sys.exit("the curves are drawn by matplotlib: pip install 'kb[measure]', or leave --out away")
    os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    folder = (given.folder or Path(tempfile.mkdtemp(prefix="kb-doses-"))).resolve()
    begin(folder)
    outcomes = all_runs(folder, Setting(given.steps), grid(sorted(set(given.doses))), given.seeds, given.workers)
    curves = given.out.with_suffix(".svg") if given.out else Path("doses.svg")
    text = page(outcomes, curves.name)
    print(text)
    if given.out:
        draw(outcomes, curves)
        write_text(given.out, text)


if __name__ == "__main__":
    main()
