"""Retention, general loss and abstention by method: LoRA, QLoRA, DoRA, all weights, context distillation, with DPO.

    python benchmarks/methods.py [--seeds 0 1 2] [--methods NAME ...] [--workers N] [--folder DIR] [--out FILE]

The facts, their wordings and the probes are those of `doses.py` (five questions a fact, with near misses to decline),
trained by kb's own code and asked by kb's own evaluation, so that the runs differ in their method alone. Facts that one
of the methods watches are trained by all and measured for none. A run that is done is kept in the folder and not done
again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from doses import Place, begin, one_thread, placed, shares
from doses_page import Outcome, cell_text
from retention import difference, mean_shares
from tellings import HELD, Cell

from kb.finetune.config import TrainConfig
from kb.finetune.run import run
from kb.finetune.watchlist import watchlist
from kb.llm import ModelConfig
from kb.llm.open import lab_folder
from kb.workspace import write_json, write_text

CELL = Cell("QA", 5, negatives=True)
SHARE = 0.3
"""Of the handbook's documents: about ninety facts."""
MEASURES = {
    "held_out": "held-out wordings right",
    "known": "known before: still right",
    "reading": "given passages read",
    "never": "never seen: declined",
    "near_miss": "near misses declined",
}
COSTS = {
    "reading": "given passages read is general ability (no fact is asked that training touched)",
    "never": "never seen, declined, is abstention",
    "known": "known before is neighbour loss (facts of the same kind that no row tells)",
    "near_miss": "near misses declined is near-miss hallucination",
}
"""What tuning can cost, and which figure of the evaluation it is."""


@dataclass(frozen=True)
class Method:
    """One way to train."""

    label: str
    steps: int = 400
    batch: int = 24
    four_bit: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    """What differs from `COMMON`."""

    @property
    def stages(self) -> tuple[str, ...]:
        """What is trained, in turn."""
        return tuple(self.settings.get("stages", COMMON["stages"]))

    def config(self, base: TrainConfig, folder: Path, seed: int) -> TrainConfig:
        """The settings of a run."""
        kept = COMMON | {"max_steps": self.steps, "batch_size": self.batch, "micro_batch": self.batch} | self.settings
        replay = str(folder / "replay.jsonl") if kept["replay_share"] else "none"
        return replace(base, seed=seed, replay=replay, **kept)


COMMON: dict[str, Any] = {
    "stages": ("sft",), "learning_rate": 1e-3, "rank": 32, "alpha": 64, "replay_share": 0.6, "reading_share": 1.0,
    "checkpoints": 1, "watch": False,
}  # fmt: skip
WIDE: dict[str, Any] = {"rank": 128, "alpha": 128}
WATCHED: dict[str, Any] = {"watch": True, "watch_share": 0.3, "early_stop": False}
METHODS = {
    "before": Method(
        "LoRA, high rate, little replay", 150, settings={"learning_rate": 2e-3, "replay_share": 0.3}
    ),
    "lora": Method("LoRA"),
    "lora-bare": Method("LoRA, no replay", settings={"replay_share": 0.0}),
    "wide": Method("LoRA, rank 128, twice the steps", 800, settings=WIDE),
    "scaled": Method("the same, scaled by the watch", 800, settings=WIDE | WATCHED),
    "lora-dpo": Method("LoRA, then DPO", settings={"stages": ("sft", "dpo"), "dpo_learning_rate": 1e-4}),
    "qlora": Method("QLoRA", four_bit=True),
    "dora": Method("DoRA", settings={"dora": True}),
    "full": Method("all weights", settings={"tuning": "full", "learning_rate": 1e-4}),
    "full-bare": Method(
        "all weights, no replay", settings={"tuning": "full", "learning_rate": 1e-4, "replay_share": 0.0}
    ),
    "distil": Method("context distillation", 200, settings={"stages": ("distil",), "distil_tokens": 16}),
}  # fmt: skip


def done(folder: Path, name: str, seed: int) -> Outcome | None:
    """The kept result of a run, where it was made under these settings."""
    file = folder / "methods" / f"{name}-s{seed}.json"
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return Outcome.of(found) if found.get("method") == json.loads(json.dumps(asdict(METHODS[name]))) else None


def one_run(folder: Path, name: str, seed: int) -> None:
    """Teach by one method in a copy of the workspace, ask all probes, and keep the result."""
    worked, method = time.process_time(), METHODS[name]
    model = ModelConfig("lab", load_in_4bit=method.four_bit)
    with placed(folder, f"{name}-s{seed}", SHARE, CELL, seed) as at:
        watched = chosen_by(at)
        report = run(at.workspace, method.config(at.config, folder, seed), model, at.prompts, at.retriever)
        trained = time.process_time() - worked
        found = unwatched(shares(at, report.adapter, model, reading=True), watched)
    steps = sum(int(figures["steps"]) for figures in report.metrics.values())
    result = {
        "method": asdict(method), "cell": asdict(CELL), "seed": seed, "facts": len(found["held_out"]),
        "cpu_seconds": trained, "setting": {"steps": steps, "batch": method.batch}, "shares": found,
        "scale": report.metrics[method.stages[0]].get("scale", 1.0),
    }  # fmt: skip
    write_json(folder / "methods" / f"{name}-s{seed}.json", result)


def base_line(folder: Path) -> dict[str, dict[str, float]]:
    """Share of the probes of each kind and fact that the untrained model answers right."""
    model = ModelConfig(str(lab_folder()), load_in_4bit=False)
    with placed(folder, "base", SHARE, CELL, 0) as at:
        return unwatched(shares(at, None, model, reading=True), chosen_by(at))


def chosen_by(at: Place) -> frozenset[str]:
    """The facts that choose something in a method that watches; they are measured in none."""
    return frozenset(watchlist(at.workspace.store, at.prompts, replace(at.config, **WATCHED), None).facts)


def unwatched(found: dict[str, dict[str, float]], watched: frozenset[str]) -> dict[str, dict[str, float]]:
    """The shares by kind and fact without those of these facts."""
    return {kind: {fact: share for fact, share in own.items() if fact not in watched} for kind, own in found.items()}


def page(found: dict[str, list[Outcome]], base: dict[str, dict[str, float]]) -> str:
    """The Markdown page."""
    seeds = sorted({one.seed for runs in found.values() for one in runs})
    first = next(iter(found.values()))[0]
    head = " | ".join(MEASURES.values())
    lines = [
        "# Retention, general loss and abstention by method",
        f"Made by `python benchmarks/methods.py --seeds {' '.join(map(str, seeds))}`: {first.facts} facts of the"
        f" handbook in both languages, five training questions each and near misses to decline, {HELD} held-out"
        " wordings each, on the lab model. LoRA has rank 32 and alpha 64; the rate is 1e-3 (all weights 1e-4) and 60%"
        " of the rows are replay, unless the method says otherwise: 400 steps of 24 rows. Each fact also has a row with"
        " passages. Facts that a method watches are trained, and measured for none. Mean over facts and seeds"
        " [95% interval, facts as clusters] (lowest to highest seed). None of what was known before is in the replay:"
        " it is the other half of the lab model's world.",
        "",
        f"| method | seeds | steps | {head} | core-seconds |",
        f"| --- | --- | --- | {' | '.join('---' for _ in MEASURES)} | --- |",
        f"| the model before | – | 0 | {' | '.join(_mean(base[kind]) for kind in MEASURES)} | – |",
    ]
    for name, runs in found.items():
        cells = " | ".join(cell_text(runs, kind) for kind in MEASURES)
        steps = "/".join(str(number) for number in sorted({one.steps for one in runs}))
        cost = round(sum(one.cpu_seconds for one in runs) / len(runs))
        lines.append(f"| {METHODS[name].label} | {len(runs)} | {steps} | {cells} | {cost} |")
    return "\n".join([*lines, "", *_losses(found, base), "", *_differences(found)]) + "\n"


def _mean(shares: dict[str, float]) -> str:
    return f"{sum(shares.values()) / len(shares):.3f}"


def _losses(found: dict[str, list[Outcome]], base: dict[str, dict[str, float]]) -> list[str]:
    """Each method against the model before, in what tuning can cost, paired by fact over all seeds."""
    lines = [
        "## Against the model before",
        "What tuning cost, each fact's shares averaged over the seeds: " + "; ".join(COSTS.values()) + ". Intervals"
        " with facts as clusters, sign-flip p, not adjusted for the number of rows.",
        "",
        "| method | measure | difference | p |",
        "| --- | --- | --- | --- |",
    ]
    for name, runs in found.items():
        for kind in COSTS:
            changed = difference(mean_shares(runs, kind), base[kind])
            lines.append(f"| {METHODS[name].label} | {MEASURES[kind]} | {changed} |")
    return lines


def _differences(found: dict[str, list[Outcome]]) -> list[str]:
    """Each method against LoRA, paired by fact over the seeds that both have."""
    if "lora" not in found:
        return []
    lines = [
        "## Against LoRA",
        "Each fact's shares averaged over the seeds that both have; intervals with facts as clusters, sign-flip p, not"
        " adjusted for the number of rows.",
        "",
        "| method | measure | difference | p |",
        "| --- | --- | --- | --- |",
    ]
    for name, runs in found.items():
        both = {one.seed for one in runs} & {one.seed for one in found["lora"]}
        pair = [[one for one in side if one.seed in both] for side in (runs, found["lora"])]
        if name == "lora" or not both:
            continue
        for kind, label in MEASURES.items():
            found_difference = difference(mean_shares(pair[0], kind), mean_shares(pair[1], kind))
            lines.append(f"| {METHODS[name].label} | {label} | {found_difference} |")
    return lines


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="trainings at once, a core each")
    parser.add_argument("--folder", type=Path, help="work here, and go on with what is there")
    parser.add_argument("--out", type=Path, help="also write the page to this file")
    given = parser.parse_args()
    os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    folder = (given.folder or Path(tempfile.mkdtemp(prefix="kb-methods-"))).resolve()
    begin(folder)
    wanted = [(name, seed) for seed in given.seeds for name in given.methods]
    missing = [one for one in wanted if not done(folder, *one)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(given.workers, mp_context=context, initializer=one_thread) as pool:
        jobs = {one: pool.submit(one_run, folder, *one) for one in missing}
        for one, job in jobs.items():
            job.result()
            print(f"{one[0]} seed {one[1]}: done", file=sys.stderr, flush=True)
    text = page(_gathered(folder, wanted), base_line(folder))
    print(text)
    if given.out:
        write_text(given.out, text)


def _gathered(folder: Path, wanted: Sequence[tuple[str, int]]) -> dict[str, list[Outcome]]:
    """The outcomes of each method, in the order of the methods."""
    kept = [(name, done(folder, name, seed)) for name, seed in wanted]
    return {name: [one for other, one in kept if other == name and one] for name in dict(kept)}


if __name__ == "__main__":
    main()
