"""From how many vectors on is chroma's graph worth it? Exact search by numpy beside it, in one run.

    python benchmarks/index.py [--sizes 1000 10000 30000 100000] [--dimensions 384] [--out FILE]

Random unit vectors, as kb keeps them. For each way: opening it as a command does (chroma: its import, comparing and
copying the index that was built before; numpy: nothing but the vectors), then one query, then a thousand. Loading the
vectors from the database is not counted for either. Each command opens in a process of its own; the median of three.
The page gives numpy's seconds and chroma's as multiples of them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np

from kb.workspace import write_text

REPEATS = 3
NEAREST = 50
CHILD = """
import json, sys, time
from pathlib import Path
import numpy as np
from kb.retrieval.exact import ExactIndex
from kb.workspace import Workspace
way, root = sys.argv[1], Path(sys.argv[2])
vectors = np.load(root / "vectors.npy")
queries = np.load(root / "queries.npy")
ids = [f"chk_{n:016x}" for n in range(len(vectors))]
places = {id: place for place, id in enumerate(ids)}
begun = time.perf_counter()
if way == "exact":
    index = ExactIndex(ids, vectors)
else:
    from kb.retrieval.chroma import open_index
    load = lambda some: vectors[[places[id] for id in some]]
    index = open_index(root / "chroma", "model", ids, load, build=way == "build")
    assert type(index).__name__ == "ChromaIndex"
opened = time.perf_counter()
index.nearest(queries[:1], 50)
first = time.perf_counter()
index.nearest(queries, 50)
print(json.dumps([opened - begun, first - opened, time.perf_counter() - first]))
"""


def seconds(way: str, root: Path) -> list[float]:
    """Opening, one query, a thousand queries."""
    done = subprocess.run([sys.executable, "-c", CHILD, way, str(root)], check=True, stdout=subprocess.PIPE, text=True)
    times: list[float] = json.loads(done.stdout.splitlines()[-1])
    return times


def unit(count: int, dimensions: int, seed: int) -> np.ndarray:
    """Random directions, shape (count, dimensions), fp32."""
    vectors = np.random.default_rng(seed).standard_normal((count, dimensions)).astype(np.float32)
    length: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return length


def row(size: int, dimensions: int) -> str:
    """A size with numpy's seconds and chroma's multiples."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        np.save(root / "vectors.npy", unit(size, dimensions, 0))
        np.save(root / "queries.npy", unit(1000, dimensions, 1))
        built = seconds("build", root)[0]
        runs = {way: np.array([seconds(way, root) for _ in range(REPEATS)]) for way in ("exact", "chroma")}
    exact, chroma = ([median(column) for column in runs[way].T] for way in ("exact", "chroma"))
    cells = [f"{exact[n]:.3f} s, x{chroma[n] / exact[n]:.2f}" for n in (1, 2)]
    both = [sum(times[:2]) for times in (exact, chroma)], [times[0] + times[2] for times in (exact, chroma)]
    whole = [f"{ours:.2f} s, x{theirs / ours:.2f}" for ours, theirs in both]
    return f"| {size:,} | {built:.1f} s | {chroma[0]:.2f} s | {' | '.join([*cells, *whole])} |"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 30_000, 100_000])
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--out", type=Path, help="also write the page to this file")
    given = parser.parse_args()
    sizes = " ".join(map(str, given.sizes))
    lines = [
        "# Exact search beside chroma's graph",
        "",
        f"Made by `python benchmarks/index.py --sizes {sizes} --dimensions {given.dimensions}`.",
        f"numpy's seconds and chroma's as a multiple of them; {given.dimensions} dimensions, the {NEAREST} nearest.",
        "",
        "| vectors | chroma: building | chroma: opening | one query | 1,000 queries | opening and one | opening and"
        " 1,000 |",
        "|" + " --- |" * 7,
    ]
    for size in given.sizes:
        lines.append(row(size, given.dimensions))
        print(lines[-1], file=sys.stderr, flush=True)
    text = "\n".join(lines) + "\n"
    print(text)
    if given.out:
        write_text(given.out, text)


if __name__ == "__main__":
    main()
