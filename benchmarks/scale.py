"""How everything after reading grows with the documents: 300, 3,000 and 30,000 chunks, and a model that takes no time.

    python benchmarks/scale.py [--sizes 300 3000 30000] [--folder DIR] [--out FILE]

The documents are those of `kb.corpora.many`, in English and Chinese, a section one chunk. The model is scripted: it
knows two facts of every chunk and is careless with a share of everything, so that there are rejects and second
attempts. Retrieval is BM25 alone. Every row of the first table is a process of its own, as a command is. Seconds are
those of its CPU, so that what else the machine does does not count, from the open workspace on; those that the script
took are left out, and the processes that read files.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kb.corpora.many import SECTIONS, UNASKED, Script, Shape, write_document
from kb.corpora.oracle import Lapses
from kb.finetune.config import TrainConfig
from kb.finetune.data import training_rows
from kb.ingest.config import IngestConfig
from kb.ingest.run import run as ingest
from kb.llm.fake import FakeLLM
from kb.prompt import Prompts
from kb.qa_gen import report
from kb.qa_gen import run as generation
from kb.qa_gen.asking import Workbench
from kb.qa_gen.config import GenerateConfig
from kb.qa_gen.trainers import ALL
from kb.qa_gen.trainers import run as export
from kb.retrieval.hybrid import RetrievalConfig, Retriever, open_retriever
from kb.workspace import Workspace, write_text

SIZES = (300, 3000, 30000)
SHAPE = Shape(facts=2, others=2)
CARELESS = Lapses(dropped=0.05, swapped=0.05, invented=0.05, misread=0.05, cut=0.02)


# What is measured, each in a process of its own.


@dataclass
class Measured:
    """What one process found."""

    seconds: float = 0.0
    peak: float = 0.0
    """MB of the process at its largest."""
    database: float = 0.0
    """MB of kb.db and its log afterwards."""
    calls: int = 0
    """Requests to the model."""
    counts: dict[str, int] = field(default_factory=dict)
    steps: dict[str, float] = field(default_factory=dict)
    """Seconds of each step of a generation."""


class Clock:
    """Seconds between one mark and the next, without those of the script."""

    def __init__(self, script: Script) -> None:
        self.laps: dict[str, float] = {}
        self._script = script
        self._last = self._now()

    def _now(self) -> float:
        return time.process_time() - self._script.seconds

    def lap(self, name: str) -> None:
        """What happened since the last mark was this."""
        now = self._now()
        self.laps[name] = self.laps.get(name, 0.0) + now - self._last
        self._last = now

    def within(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, its time noted beside the laps."""

        def timed(*given: Any, **named: Any) -> Any:
            begun = self._now()
            made = work(*given, **named)
            self.laps[name] = self.laps.get(name, 0.0) + self._now() - begun
            return made

        return timed


def ingested(place: Workspace, folder: Path, measured: Measured) -> None:
    """`kb ingest`; reading and cutting are on another page."""
    found = ingest([folder / "docs"], IngestConfig(jobs=1), place, show=False)
    retriever(place)
    measured.counts["chunks"] = found.chunks


def retriever(place: Workspace) -> Retriever:
    """BM25 alone."""
    return open_retriever(place, RetrievalConfig(embedder="none"))


def generated(place: Workspace, folder: Path, measured: Measured) -> None:
    """`kb generate-qa` with its default settings."""
    script = Script(SHAPE, CARELESS)
    llm = FakeLLM(script, "scripted")
    # Nobody asks what it was asked, which is more than all else together.
    llm.history = deque(maxlen=0)  # type: ignore[assignment]
    clock = Clock(script)
    searching = retriever(place)
    clock.lap("opening the retriever")
    tell, settle = Workbench.tell, Workbench.settle

    def told(bench: Workbench, step: str, kept: int) -> None:
        clock.lap(step)
        tell(bench, step, kept)

    def settled(bench: Workbench) -> None:
        clock.lap("pairs")
        settle(bench)

    Workbench.tell, Workbench.settle = told, settled  # type: ignore[method-assign]
    Workbench.search = clock.within(SEARCH, Workbench.search)  # type: ignore[method-assign]
    for name, called in (("datasets", "export"), ("report", "renew")):
        setattr(generation, called, clock.within(name, getattr(generation, called)))
    made = generation.run(place, GenerateConfig(**UNASKED), llm, Prompts(), searching)
    clock.lap("writing")
    clock.laps["writing"] -= clock.laps["datasets"] + clock.laps["report"]
    measured.steps, measured.calls = clock.laps, made.calls
    measured.seconds -= script.seconds
    measured.counts = {
        "chunks": made.chunks, "facts": made.facts, "questions": made.training_questions + made.probes,
        "negatives": made.negatives, "pairs": made.pairs, "rejects": sum(made.rejected.values()),
    }  # fmt: skip


def reported(place: Workspace, folder: Path, measured: Measured) -> None:
    """`kb qa-report`."""
    report.run(place)


def trained(place: Workspace, folder: Path, measured: Measured) -> None:
    """The rows that `kb train` trains."""
    rows = training_rows(place.store, Prompts(), retriever(place), TrainConfig(), None)
    measured.counts["rows"] = len(rows)


def exported(place: Workspace, folder: Path, measured: Measured) -> None:
    """`kb export --to all`."""
    export(place, [ALL], folder / "exports", Prompts())


SEARCH = "of all these: searching"
PHASES: dict[str, Callable[[Workspace, Path, Measured], None]] = {
    "kb ingest": ingested,
    "kb generate-qa": generated,
    "the same again": generated,
    "kb qa-report": reported,
    "rows of kb train": trained,
    "kb export --to all": exported,
    "kb ingest, one document changed": ingested,
    "kb generate-qa after that": generated,
}
FIRST = "kb generate-qa"
CHANGED = "kb ingest, one document changed"
WRITING = ("kb ingest", FIRST, "kb generate-qa after that")


def measure(phase: str, folder: Path) -> Measured:
    """Do one thing in this process."""
    logging.getLogger("kb").setLevel(logging.WARNING)
    place, measured = Workspace(folder / "kb", create=True), Measured()
    begun = time.process_time()
    PHASES[phase](place, folder, measured)
    measured.seconds += time.process_time() - begun
    measured.peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    measured.database = sum(file.stat().st_size for file in (folder / "kb").glob("kb.db*")) / 1e6
    place.store.close()
    return measured


# The page.


def measure_all(size: int, folder: Path) -> Iterator[tuple[str, Measured]]:
    """Every phase with so many chunks, one after the other in the same workspace."""
    for number in range(size // SECTIONS):
        write_document(folder / "docs", SHAPE, number)
    for phase in PHASES:
        if phase == CHANGED:
            write_document(folder / "docs", SHAPE, 0, "A sentence more.")
        command = [sys.executable, __file__, "--phase", phase, "--folder", str(folder)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found = Measured(**json.loads(done.stdout.splitlines()[-1]))
        print(f"{size} {phase}: {found}", file=sys.stderr, flush=True)
        yield phase, found


def growth(values: Sequence[float], sizes: Sequence[int]) -> str:
    """From the last size but one to the last: 1.00 for what grows as the number of chunks does."""
    return f"{values[-1] / values[-2] / (sizes[-1] / sizes[-2]):.2f}" if values[-2] else ""


def row(name: str, values: Sequence[float], sizes: Sequence[int], form: str) -> str:
    """A line of a table: a figure for every size, and its growth."""
    return f"| {name} | {' | '.join(format(value, form) for value in values)} | {growth(values, sizes)} |"


def head(name: str, sizes: Sequence[int]) -> list[str]:
    """The head of a table."""
    cells = [name, *(f"{size:,}" for size in sizes), "growth"]
    return [f"| {' | '.join(cells)} |", "|" + " --- |" * len(cells)]


def page(found: dict[int, dict[str, Measured]], command: str, remark: str = "") -> str:
    """The Markdown page; the remark says what else there is to know of this measurement."""
    sizes = sorted(found)

    def of(phase: str, value: Callable[[Measured], float]) -> list[float]:
        return [value(found[size][phase]) for size in sizes]

    first = {name: [found[size][FIRST].steps[name] for size in sizes] for name in found[sizes[0]][FIRST].steps}
    last = found[sizes[-1]][FIRST]
    made = ", ".join(f"{count:,} {name}" for name, count in last.counts.items())
    lines = [
        "# How everything after reading grows with the documents", "",
        f"Made by `{command}`. CPU seconds of the command's process; the model is scripted and its",
        "time is not counted, nor that of the processes that read files: what is left is kb's own.",
        f"At the end: {made}; {last.calls:,} requests, {1e3 * last.seconds / last.calls:.2f} ms each,",
        f"{1e3 * last.seconds / sizes[-1]:.1f} ms a chunk.",
        f"Left out: {', '.join(UNASKED)}.",
        "Growth: from the last size but one to the last, by the ratio of the sizes; 1.00 is linear.",
        *([remark] if remark else []), "",
        "## Seconds of a command", "", *head("chunks", sizes),
        *(row(phase, of(phase, lambda one: one.seconds), sizes, ".2f") for phase in PHASES),
        "",
        "## Peak memory of a command, MB", "", *head("chunks", sizes),
        *(row(phase, of(phase, lambda one: one.peak), sizes, ".0f") for phase in PHASES), "",
        f"## Seconds of the steps of {FIRST}", "", *head("step", sizes),
        *(row(name, values, sizes, ".2f") for name, values in first.items()), "",
        "## Size of kb.db, MB", "", *head("after", sizes),
        *(row(phase, of(phase, lambda one: one.database), sizes, ".1f") for phase in PHASES if phase in WRITING),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="chunks")
    parser.add_argument("--folder", type=Path, help="keep the workspaces here")
    parser.add_argument("--remark", default="", help="for the page: what else the machine did, say")
    parser.add_argument("--out", type=Path, help="also write the page to this file")
    parser.add_argument("--phase", choices=list(PHASES), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.phase:
        print(json.dumps(vars(measure(given.phase, given.folder))))
        return
    with tempfile.TemporaryDirectory() as made:
        folders = {size: (given.folder or Path(made)) / str(size) for size in given.sizes}
        found = {size: dict(measure_all(size, folder)) for size, folder in folders.items()}
    text = page(found, f"python benchmarks/scale.py --sizes {' '.join(map(str, given.sizes))}", given.remark)
    print(text)
    if given.out:
        write_text(given.out, text)


if __name__ == "__main__":
    main()
