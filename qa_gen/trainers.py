"""`kb export`: the training rows in the forms of other trainers, a folder for each."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kb.errors import UsageError, WorkspaceError
from kb.prompt import Prompts
from kb.qa_gen.folders import Part, check_free, write_folder
from kb.qa_gen.formats import FORMATS, Format, dataset_info
from kb.qa_gen.rows import Rows, split, trained_rows
from kb.workspace import Workspace

ALL = "all"


@dataclass(frozen=True)
class Export:
    """One folder that was written."""

    format: str
    folder: str
    rows: dict[str, int]
    """By file."""
    moments: tuple[str, ...]
    """File and column of texts that are all dates: Hugging Face `datasets` does not read them as texts."""

    def lines(self) -> list[str]:
        """For the terminal."""
        lines = [f"{self.folder}: {', '.join(f'{file} {count}' for file, count in self.rows.items())}"]
        return lines + [
            f"  {place}: nothing but dates, which `datasets` reads as moments; kb export datasets keeps them as texts"
            for place in self.moments
        ]


@dataclass(frozen=True)
class ExportReport:
    """What `kb export` wrote."""

    exports: tuple[Export, ...]
    left_out: int
    """Rows whose question is held out as well."""

    def lines(self) -> list[str]:
        """For the terminal."""
        lines = [line for one in self.exports for line in one.lines()]
        if self.left_out:
            lines.append(f"{self.left_out} rows left out: their questions are held out too. Mend it: kb generate-qa")
        return lines


def run(
    workspace: Workspace, names: Sequence[str], out: Path, prompts: Prompts, validation: float = 0.0
) -> ExportReport:
    """Write the rows in each of the named forms to `out`/NAME, in place of an earlier export.

    Raises UsageError for an unknown form, a share that cannot be, or a folder that kb did not make; WorkspaceError
    when there are no rows.
    """
    forms = chosen(names)
    rows = trained_rows(workspace.store, prompts)
    if not rows.sft:
        raise WorkspaceError("there are no QA pairs to export. Make them with: kb generate-qa")
    splits = split(rows, validation)
    out = out.expanduser().resolve()
    for form in forms:
        check_free(out / form.name)
    return ExportReport(tuple(_export(form, splits, out / form.name) for form in forms), rows.left_out)


def chosen(names: Sequence[str]) -> list[Format]:
    """The forms of these names, each once. Raises UsageError for an unknown name, with the nearest and all known."""
    known = [*FORMATS, ALL]
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {close[0]!r}?" if close else "."
            raise UsageError(f"no export format {name!r}{hint} Known: {', '.join(known)}")
    return list(FORMATS.values()) if ALL in names else [FORMATS[name] for name in dict.fromkeys(names)]


def _export(form: Format, splits: Mapping[str, Rows], folder: Path) -> Export:
    parts = [part for side, rows in splits.items() for part in _parts(form, side, rows)]
    index = {"dataset_info.json": dataset_info(parts)} if form.indexed else {}
    write_folder(folder, parts, form.use, index)
    moments = tuple(place for part in parts for place in part.moments)
    return Export(form.name, str(folder), {part.file: len(part.rows) for part in parts}, moments)


def _parts(form: Format, side: str, rows: Rows) -> list[Part]:
    """The files of one side of the split; a kind without rows has none."""
    kinds = (("sft", form.sft, rows.sft), ("preference", form.preference, rows.preference))
    return [
        Part(kind, side, form.file.format(f"{kind}-{side}"), tuple(map(shape, some)))
        for kind, shape, some in kinds
        if some
    ]
