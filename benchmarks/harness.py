"""kb's evaluation engine, the HF backend of lm-evaluation-harness and bare batched `generate` on the same probes.

    python benchmarks/harness.py [--facts 100] [--rounds 3] [--batches 1 16 64 256] [--threads 1] [--workspace FOLDER]
        [--model lab] [--out FILE]

The same loaded weights, in fp32, answer the same held-out questions greedily, closed-book and from the passages that
`kb eval` finds for them, with at most as many new tokens as it gives: through kb's store, on disk and empty, and
scored; through `simple_evaluate` on the task that `kb bench export lm-eval` wrote, scored by the same function; and by
a plain loop over padded batches, with nothing kept or scored. The lab model has the adapter of the workspace's training
run on, if there is one. The ways take turns within a round; figures are medians over the rounds, of processor time,
because a machine may have other work. Needs `kb[bench]`.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from engine import demo, ratio

from kb.evaluate.arms import ANSWER_TOKENS, ARMS, Asker
from kb.evaluate.bench.export import export
from kb.evaluate.bench.probes import ProbeRow, probe_rows
from kb.evaluate.probes import document_probes
from kb.evaluate.run import EvalConfig
from kb.llm import Item, Request, ask
from kb.llm.base import ModelConfig, user
from kb.llm.local import PLAIN, LocalLLM
from kb.llm.open import lab_folder
from kb.llm.weights import load_weights
from kb.prompt import Prompts
from kb.retrieval.hybrid import RetrievalConfig, open_retriever
from kb.runs import find_run
from kb.store import Store
from kb.text.match import judge
from kb.workspace import Workspace, write_jsonl, write_text

KB, BARE = "kb", "bare `generate`"
GAIN, OVERHEAD = 3.0, 0.05
"""What is wanted: times as fast as the harness, and the most above bare `generate`."""
KIND = "held_out"


@dataclass(frozen=True)
class Bench:
    """What everybody is given."""

    name: str
    llm: LocalLLM
    rows: Sequence[ProbeRow]
    folder: Path
    """The exported task."""

    @property
    def requests(self) -> list[Request]:
        """The probes as kb asks them."""
        return [Request(user(row.user, row.system), ANSWER_TOKENS) for row in self.rows]


@dataclass(frozen=True)
class Turn:
    """One way through all probes."""

    processor: float
    wall: float
    answers: Mapping[str, str]
    """Probe id to answer."""


Way = Callable[[Bench, Store], dict[str, str]]
"""What answers all probes, by id; kb keeps its answers in the store, the others do without."""


def by_kb(bench: Bench, store: Store) -> dict[str, str]:
    """As `kb eval` asks: every answer stored as it lands, then scored."""
    items = [Item(row.id, request) for row, request in zip(bench.rows, bench.requests, strict=True)]
    results = list(ask(bench.llm, store, items, str.strip, "eval: base", attempts=1, cut=True, show=False))
    answers = {result.item.id: result.value or "" for result in results}
    for row in bench.rows:
        judge(answers[row.id], row.gold, row.answer_type, row.aliases)
    return answers


def by_generate(bench: Bench, _: Store) -> dict[str, str]:
    """A plain loop: chats of like length padded together, as many as kb's limit of tokens takes."""
    weights = bench.llm.weights
    ids = {row.id: bench.llm.prompt_ids(request) for row, request in zip(bench.rows, bench.requests, strict=True)}
    order = sorted(ids, key=lambda id: -len(ids[id]))
    answers: dict[str, str] = {}
    options: dict[str, Any] = {"max_new_tokens": ANSWER_TOKENS, "do_sample": False} | PLAIN
    while order:
        size = max(1, weights.batch_tokens // (len(ids[order[0]]) + ANSWER_TOKENS))
        batch, order = order[:size], order[size:]
        padded = weights.tokenizer.pad(
            {"input_ids": [ids[id] for id in batch]}, padding_side="left", return_tensors="pt"
        )
        with torch.no_grad(), bench.llm.active():
            made = weights.model.generate(**padded, **options)[:, padded["input_ids"].shape[1] :]
        texts = weights.tokenizer.batch_decode(made, skip_special_tokens=True)
        answers |= {id: text.strip() for id, text in zip(batch, texts, strict=True)}
    return answers


def by_harness(size: int) -> Way:
    """The HF backend of lm-evaluation-harness with batches of a size."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    def answer(bench: Bench, _: Store) -> dict[str, str]:
        weights = bench.llm.weights
        lm = HFLM(
            pretrained=weights.model, tokenizer=weights.tokenizer, batch_size=size, enable_thinking=False, device="cpu"
        )
        tasks = TaskManager(include_path=str(bench.folder), include_defaults=False)
        with bench.llm.active(), contextlib.redirect_stderr(io.StringIO()):
            found = simple_evaluate(
                model=lm, tasks=[f"kb_{KIND}"], task_manager=tasks, apply_chat_template=True, bootstrap_iters=0
            )
        samples = found["samples"][f"kb_{KIND}"]
        return {one["doc"]["id"]: one["filtered_resps"][0].strip() for one in samples}

    return answer


def turn(bench: Bench, way: Way) -> Turn:
    """Have all probes answered in one way; a workspace, new and empty, is there before the clock starts."""
    with tempfile.TemporaryDirectory() as folder:
        store = Workspace(Path(folder), create=True).store
        wall, processor = time.perf_counter(), time.process_time()
        answers = way(bench, store)
        done = Turn(time.process_time() - processor, time.perf_counter() - wall, answers)
        store.close()
    return done


def measured(bench: Bench, ways: Mapping[str, Way], rounds: int) -> dict[str, list[Turn]]:
    """Every way once a round, in turns; a first round on a few probes is not counted."""
    few = replace(bench, rows=bench.rows[:8])
    for name in (KB, BARE):
        turn(few, ways[name])
    turns: dict[str, list[Turn]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in list(ways)[:: -1 if number % 2 else 1]:
            turns[name].append(turn(bench, ways[name]))
    return turns


def table(turns: Mapping[str, Sequence[Turn]]) -> list[str]:
    """A line a way."""
    lines = ["| way | processor's seconds | wall seconds | time, kb = 1 | answers as kb's |", "|" + " --- |" * 5]
    own = [one.processor for one in turns[KB]]
    for name, ones in turns.items():
        spent = [one.processor for one in ones]
        same = sum(ones[0].answers[id] == answer for id, answer in turns[KB][0].answers.items())
        cells = f"{statistics.median(spent):.2f} | {statistics.median(one.wall for one in ones):.2f}"
        lines.append(f"| {name} | {cells} | {ratio(spent, own):.2f} | {same} of {len(ones[0].answers)} |")
    return lines


def said(turns: Mapping[str, Sequence[Turn]]) -> list[str]:
    """What came of what was wanted."""
    own = [one.processor for one in turns[KB]]
    gains = {
        name: ratio([one.processor for one in ones], own) for name, ones in turns.items() if name not in (KB, BARE)
    }
    first, best = next(iter(gains)), min(gains, key=lambda name: gains[name])
    over = ratio(own, [one.processor for one in turns[BARE]]) - 1
    return [
        f"kb is {gains[first]:.1f} times as fast as {first} and {gains[best]:.1f} times as fast as {best}, the fastest"
        f" setting of it that was tried; {GAIN:.0f} times were wanted.",
        f"It takes {over:+.1%} of the time of bare `generate`, scoring and storing included; at most {OVERHEAD:.0%}"
        " was wanted.",
    ]


def opened(place: Path, model: Path, facts: int, top_k: int, folder: Path) -> list[Bench]:
    """The model, the lab model with the workspace's adapter, if it has one, and the probes, exported into folders of
    `folder`: closed-book, and from passages.
    """
    lab = model == lab_folder()
    workspace, config = Workspace(place), EvalConfig(limit=facts)
    prompts, store = Prompts(lab_folder() / "prompts") if lab else Prompts(), workspace.store
    run = find_run(store) if lab else None
    base = LocalLLM(load_weights(model, False, ModelConfig().batch_tokens, None))
    llm = base.with_adapter(run.adapter) if run else base
    benches: list[Bench] = []
    for name in ("closed-book", "from passages"):
        export(store, config, prompts, "lm-eval", folder / name)
        rows = probe_rows(store, config, prompts)[KIND]
        if benches:
            rows = reading(rows, workspace, prompts, top_k)
            write_jsonl(folder / name / f"{KIND}.jsonl", map(asdict, rows))
        benches.append(Bench(name, llm, rows, folder / name))
    store.close()
    return benches


def reading(rows: Sequence[ProbeRow], workspace: Workspace, prompts: Prompts, top_k: int) -> list[ProbeRow]:
    """The probes with as many passages before them as the RAG arm is shown."""
    opened = functools.partial(open_retriever, workspace, RetrievalConfig(top_k=top_k), write=False)
    asker = Asker(prompts, opened, workspace.store)
    probes = document_probes(workspace.store, EvalConfig().probes_per_fact, 0)
    found = {asked.probe.id: asked for asked in asker.ask(ARMS["rag"], probes)}
    chats = [{said.role: said.content for said in found[row.id].item.request.messages} for row in rows]
    return [
        replace(row, system=chat.get("system", ""), user=chat["user"]) for row, chat in zip(rows, chats, strict=True)
    ]


def part(bench: Bench, given: argparse.Namespace) -> list[str]:
    """The section of one task."""
    ways = {KB: by_kb, BARE: by_generate} | {f"lm-eval, batches of {size}": by_harness(size) for size in given.batches}
    turns = measured(bench, ways, given.rounds)
    lengths = [len(bench.llm.prompt_ids(request)) for request in bench.requests]
    about = f"Prompts of {statistics.mean(lengths):.0f} tokens, on average."
    return [f"## {bench.name.capitalize()}", "", about, "", *said(turns), "", *table(turns), ""]


def page(benches: Sequence[Bench], given: argparse.Namespace) -> str:
    """The Markdown page."""
    sizes = " ".join(map(str, given.batches))
    command = f"--facts {given.facts} --rounds {given.rounds} --batches {sizes} --top-k {given.top_k}"
    command += f" --threads {given.threads}"
    command += " --workspace FOLDER" if given.workspace else ""
    command += " --model FOLDER" if given.model != lab_folder() else ""
    made = f"Made by `python benchmarks/harness.py {command}`, {given.threads} of {os.cpu_count()} cores."
    about = [
        f"{len(benches[0].rows)} held-out questions to {benches[0].llm.label}, at most {ANSWER_TOKENS} new tokens,",
        f"greedy; one load of the weights for all ways; medians of {given.rounds} rounds, ratios within a round.",
    ]
    head = ["# The evaluation engine beside lm-evaluation-harness", "", made, ""]
    return "\n".join([*head, *about, "", *(line for bench in benches for line in part(bench, given))]).strip() + "\n"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--batches", type=int, nargs="+", default=[1, 16, 64, 256], help="sizes for lm-eval; its own is 1"
    )
    parser.add_argument("--top-k", type=int, default=2, help="passages before a question; the demo's are 2")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--workspace", type=Path, help="of a demo; made anew, without a training, where it is not given"
    )
    parser.add_argument(
        "--model", type=Path, default=lab_folder(), help="folder of another model than the lab model (chat_model.py)"
    )
    parser.add_argument("--out", type=Path, help="also write the page to this file")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as made:
        workspace = given.workspace or demo(Path(made) / "demo")
        text = page(opened(workspace, given.model, given.facts, given.top_k, Path(made)), given)
    print(text)
    if given.out:
        write_text(given.out, text)


if __name__ == "__main__":
    main()
