"""When a quick look at a training shows something: `kb eval --limit 20`, from the command to the first figures.

    python benchmarks/first.py [--limit 20] [--rounds 3] [--workspace FOLDER] [--out FILE]

The command runs in a process of its own in a copy of the workspace's folder, whose stored answers of evaluations are
forgotten before each round. Timed are the first answer in the store, the line on stderr that says how an arm did, and
the report. Beside it, in the same round, is what no tool can be faster than: a process that imports torch and
transformers and loads tokenizer and model as kb does, in 4 bits where kb.toml says nothing else, and answers nothing.
Figures are medians over the rounds, ratios within a round.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from engine import demo, ratio
from retention import INCOMPLETE, KB

from kb.config import read_settings
from kb.llm.base import ModelConfig
from kb.llm.open import find_folder
from kb.llm.stored import last_call
from kb.store import Store
from kb.workspace import Workspace, write_text

FLOOR, ANSWER, REPORT = "imports and weights alone", "first answer stored", "the report"
SCORED = re.compile(r"eval: (.+): \d+ of \d+ held-out questions right so far")
EVERY = 0.01
"""Seconds between two looks into the store."""
BARE = """
import sys, torch, transformers
folder, four_bits = sys.argv[1], sys.argv[2] == "True"
nf4 = transformers.BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4") if four_bits else None
transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
transformers.AutoModelForCausalLM.from_pretrained(folder, quantization_config=nf4, local_files_only=True)
print(flush=True)
"""


def bare(model: ModelConfig) -> float:
    """Seconds until a process that does nothing else has the model."""
    words = [sys.executable, "-c", BARE, str(find_folder(model.name)), str(model.load_in_4bit)]
    began = time.perf_counter()
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as running:
        assert running.stdout is not None
        said = running.stdout.readline()
        seconds = time.perf_counter() - began
    assert said, "the model cannot be loaded"
    return seconds


def look(folder: Path, limit: int) -> dict[str, float]:
    """Seconds until each thing that a user of the command sees, in the order of their coming."""
    last = forget(Workspace(folder / ".kb").store)
    words = [KB, "eval", "--compare", "rag", "--limit", str(limit)]
    said: list[tuple[float, str]] = []
    began = time.perf_counter()
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None and running.stderr is not None
        read = threading.Thread(target=listen, args=(running.stderr, said, began))
        read.start()
        answered = stored(folder / ".kb" / "kb.db", last, running) - began
        shown = running.stdout.readline()
        reported = time.perf_counter() - began
        running.stdout.read()
        read.join()
    if running.returncode not in (0, INCOMPLETE) or not shown:
        raise SystemExit("\n".join(line for _, line in said))
    return {ANSWER: answered} | scored(said) | {REPORT: reported}


def forget(store: Store) -> int:
    """Forget the answers of evaluations; returns the number of the last call that is left."""
    with store.transaction():
        store.sql("DELETE FROM llm_calls WHERE stage LIKE 'eval: %'")
    last = last_call(store)
    store.close()
    return last


def listen(lines: Iterable[str], said: list[tuple[float, str]], began: float) -> None:
    """Keep each line with the seconds until it came."""
    said.extend((time.perf_counter() - began, line.rstrip()) for line in lines)


def stored(file: Path, last: int, running: subprocess.Popen[str]) -> float:
    """When there was a later call than `last` in the store, or the process had ended without one."""
    reader = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    query = "SELECT EXISTS (SELECT 1 FROM llm_calls WHERE seq > ?)"
    while not reader.execute(query, (last,)).fetchone()[0] and running.poll() is None:
        time.sleep(EVERY)
    reader.close()
    return time.perf_counter()


def scored(said: Iterable[tuple[float, str]]) -> dict[str, float]:
    """Arm to the seconds until its line came."""
    found = ((seconds, SCORED.match(line)) for seconds, line in said)
    return {f"{match[1]}: held-out questions scored": seconds for seconds, match in found if match}


def table(floors: Sequence[float], rounds: Sequence[Mapping[str, float]]) -> list[str]:
    """A line for each thing that is seen in every round, in the order of the first."""
    seen = {FLOOR: floors} | {
        name: [one[name] for one in rounds] for name in rounds[0] if all(name in one for one in rounds)
    }
    rows = [
        f"| {name} | {statistics.median(seconds):.1f} | {ratio(seconds, floors):.2f} |"
        for name, seconds in seen.items()
    ]
    return ["| what | seconds | imports and weights = 1 |", "|" + " --- |" * 3, *rows]


def page(folder: Path, given: argparse.Namespace) -> str:
    """The Markdown page."""
    model, _ = read_settings(folder / "kb.toml").resolve(ModelConfig, "model")
    floors, rounds = [], []
    # What is read for the first time comes from the disk: a round that is not counted.
    for number in range(given.rounds + 1):
        floor, seen = bare(model), look(folder, given.limit)
        print(f"round {number}: {FLOOR} {floor:.1f}", *(f"{k} {v:.1f}" for k, v in seen.items()), file=sys.stderr)
        if number:
            floors.append(floor)
            rounds.append(seen)
    command = f"--limit {given.limit} --rounds {given.rounds}{' --workspace FOLDER' if given.workspace else ''}"
    threads = os.environ.get("OMP_NUM_THREADS", "torch's own")
    return "\n".join([
        "# How soon `kb eval` shows something",
        "",
        f"Made by `python benchmarks/first.py {command}` on {os.cpu_count()} cores, number of threads {threads}.",
        f"`kb eval --compare rag --limit {given.limit}` of the model `{model.name}`"
        f"{' in 4 bits' if model.load_in_4bit else ''}, no answer stored before; files in the",
        f"system's cache; medians of {given.rounds} rounds, ratios within a round.",
        "",
        *table(floors, rounds),
        "",
    ])  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=20, help="facts")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--workspace", type=Path, help="of a demo; made anew, without a training, where it is not given"
    )
    parser.add_argument("--out", type=Path, help="also write the page to this file")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "demo"
        if given.workspace:
            shutil.copytree(given.workspace.resolve().parent, folder)
        else:
            demo(folder)
        text = page(folder, given)
    print(text)
    if given.out:
        write_text(given.out, text)


if __name__ == "__main__":
    main()
