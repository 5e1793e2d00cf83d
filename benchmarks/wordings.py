"""What tells a trained wording with trifles changed from a real rewording: n-grams, an embedder, and both.

    python benchmarks/wordings.py [--embedder auto] [--out FILE]

Every question of the fictional world in both families of wordings, about entities that the handbook does not have:
each family once as the trained wordings of its fact. (a) every trifle that can be changed in a trained wording, (b) the
wordings of the other family, (c) the trained wordings about another entity, or about another size of the same. What is
counted is whether a gate takes a case for one of the trained wordings.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kb.corpora.trifles import subjects, trifles, wordings
from kb.corpora.world import LANGUAGES
from kb.qa_gen.calibration import FALSE_SHARE, Vectors, measure, nearest, read_groups
from kb.qa_gen.leakage import LEAK, Wordings
from kb.qa_gen.meaning import same_figures
from kb.retrieval.dense import Embedder, open_embedder
from kb.text.canonical import canonical
from kb.workspace import write_text

REWORDING, ENTITY, FIGURE = "(b) real rewording", "(c) another entity", "(c) another size"
LONG = "the second emergency shutdown valve of the {} cooling circuit in building seven"
"""A name of twelve words around one of the world's."""
SIZES = {"en": ("3 kg {}", "13 kg {}"), "zh": ("3公斤{}", "13公斤{}")}
QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class Case:
    """A text to compare with the trained wordings of a fact."""

    kind: str
    trained: tuple[str, ...]
    text: str


def cases(language: str) -> Iterator[Case]:
    """All cases of a language."""
    asked = [(attribute, entity) for one, attribute, entity in subjects() if one == language]
    for attribute, entity in asked:
        other = next(one for _, one in asked if one.kind == entity.kind and one.name != entity.name)
        small, large = (size.format(entity.name) for size in SIZES[language])
        for family, rest in ("ab", "ba"):
            own = wordings(entity, attribute, family)
            sized = tuple(text.replace(entity.name, small) for text in own)
            for text in own:
                yield from (Case(f"(a) {one.kind}", own, one.text) for one in trifles(text, entity.name, language))
                yield Case(ENTITY, own, text.replace(entity.name, other.name))
                yield Case(FIGURE, sized, text.replace(entity.name, large))
            yield from (Case(REWORDING, own, text) for text in wordings(entity, attribute, rest))


def letters(found: Sequence[Case]) -> np.ndarray:
    """N-gram closeness of each case."""
    return np.array([Wordings(one.trained).closeness(one.text) for one in found])


def meanings(found: Sequence[Case], vectors: Vectors) -> np.ndarray:
    """Cosine of each case."""
    return np.array(nearest(vectors, [(one.trained, (one.text,)) for one in found])[0])


def row(kind: str, found: Sequence[Case], vectors: Vectors | None, limit: float) -> str:
    """A line of the table: quantiles, and the share that each gate takes for a trained wording."""
    exact = np.array([canonical(one.text) in map(canonical, one.trained) for one in found])
    near = letters(found)
    gates = [exact, near > LEAK]
    cells = [f"{kind} | {len(found)} | {_quantiles(near)}"]
    if vectors:
        cosines = meanings(found, vectors)
        figures = np.array([any(same_figures(one.text, other) for other in one.trained) for one in found])
        gates.append((cosines > limit) & figures)
        cells.append(_quantiles(cosines))
    shares = [f"{100 * gate.mean():.1f}%" for gate in (*gates, np.any(gates, axis=0))]
    return f"| {' | '.join([*cells, *shares])} |"


def _quantiles(values: np.ndarray) -> str:
    return " / ".join(f"{value:.2f}" for value in np.quantile(values, QUANTILES))


def table(language: str, embedder: Embedder | None) -> list[str]:
    """The cases of a language by kind."""
    groups = [group for group in read_groups() if group.language == language]
    reads = embedder is not None and embedder.reads([text for group in groups for text in group.trained])
    vectors: Vectors | None = None
    lines = [f"## {language}", ""]
    limit = 1.0
    if embedder and reads:
        vectors = embedder.embed
        measured = measure(embedder.name, vectors, groups)
        limit = measured.cosine
        lines += [f"The limit: {measured}.", ""]
    else:
        lines += [f"No embedder here reads {language}: the n-grams stand alone.", ""]
    by_kind: dict[str, list[Case]] = defaultdict(list)
    for one in cases(language):
        by_kind[one.kind].append(one)
    head = ["case", "cases", "n-grams: 5 / 50 / 95%", *(["cosine: 5 / 50 / 95%"] if vectors else [])]
    head += ["exact", "n-grams", *(["embedding"] if vectors else []), "any of them"]
    lines += [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    lines += [row(kind, by_kind[kind], vectors, limit) for kind in sorted(by_kind)]
    return [*lines, "", *(names(language, vectors) if vectors else []), *(halves(language, vectors) if vectors else [])]


def names(language: str, vectors: Vectors) -> list[str]:
    """What leaving out the name is good for: limits measured on the world's names, used with a long one."""
    found = [one for one in cases(language) if one.kind not in (ENTITY, FIGURE)]
    groups = {entity.name for one, _, entity in subjects() if one == language}
    long = [_renamed(one, groups) for one in found]
    lines = [
        "A limit measured with the world's names, used with names of twelve words; (a) without what is exact:",
        "",
        "| name | limit | (a) caught | (b) hit | long name: (a) caught | (b) hit |",
        "|" + " --- |" * 6,
    ]
    for what, cosines in (("left in", _with_names), ("left out", meanings)):
        short_hits, long_hits = cosines(found, vectors), cosines(long, vectors)
        real = np.array([one.kind == REWORDING for one in found])
        changed = np.array([one.kind not in (REWORDING, "(a) case", "(a) punctuation") for one in found])
        limit = float(np.quantile(short_hits[real], 1 - FALSE_SHARE))
        shares = [hits[rows] > limit for hits in (short_hits, long_hits) for rows in (changed, real)]
        lines.append(f"| {what} | {limit:.3f} | {' | '.join(f'{100 * share.mean():.1f}%' for share in shares)} |")
    return [*lines, ""]


def _renamed(one: Case, known: set[str]) -> Case:
    name = next(name for name in known if name in one.text and all(name in text for text in one.trained))
    long = LONG.format(name)
    return Case(one.kind, tuple(text.replace(name, long) for text in one.trained), one.text.replace(name, long))


def _with_names(found: Sequence[Case], vectors: Vectors) -> np.ndarray:
    """Cosines of the canonical forms as they are."""
    texts = sorted({canonical(text) for one in found for text in (*one.trained, one.text)})
    made = dict(zip(texts, vectors(texts), strict=True))
    return np.array([
        max(float(made[canonical(one.text)] @ made[canonical(text)]) for text in one.trained) for one in found
    ])  # fmt: skip


def halves(language: str, vectors: Vectors) -> list[str]:
    """The limit of one half of the attributes on the other half: what it is worth beyond what it was measured on."""
    groups = [group for group in read_groups() if group.language == language]
    parts = groups[: len(groups) // 2], groups[len(groups) // 2 :]
    lines = [
        "Limits measured on one half of the attributes (people and companies, products and rules), on the other:",
        "",
    ]
    for one, other in (parts, parts[::-1]):
        limit = measure("", vectors, one).cosine
        caught, hit = nearest(vectors, [(group.trained, group.trifles, group.others) for group in other])
        shares = (100 * float(np.mean(np.array(cosines) > limit)) for cosines in (caught, hit))
        lines.append("- limit {:.3f}: {:.1f}% of the trifles, {:.1f}% of the rewordings".format(limit, *shares))
    return [*lines, ""]


def page(name: str) -> str:
    """The Markdown page."""
    embedder = open_embedder(name)
    head = [
        "# Wordings that are the same but for trifles",
        "",
        f"Made by `python benchmarks/wordings.py --embedder {name}`; the embedder is"
        f" {embedder.name if embedder else 'missing'}.",
        f"Shares are of cases that a gate takes for a trained wording: the same canonical form; n-gram closeness above"
        f" {LEAK}; cosine above the limit and the same figures.",
        "Limits are measured on one trifle a wording, the tables are of every trifle. What is about another entity or"
        " size is no wording of the fact: no gate has to spare it, and the embedding never counts another size.",
        "",
    ]
    return "\n".join([*head, *(line for language in LANGUAGES for line in table(language, embedder))]).rstrip() + "\n"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--embedder", default="auto", help="folder or hub id of an embedder, auto or none")
    parser.add_argument("--out", type=Path, help="also write the page to this file")
    given = parser.parse_args()
    text = page(given.embedder)
    print(text)
    if given.out:
        write_text(given.out, text)


if __name__ == "__main__":
    main()
