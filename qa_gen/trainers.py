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
from kb.qa_gen.ready import COMMANDS, READY, as_json, template_name
from kb.qa_gen.recipe import Recipe
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
    configs: tuple[str, ...] = ()
    """Files with the tool's own configs."""
    doubts: tuple[str, ...] = ()
    """What is to be filled in there."""

    def lines(self) -> list[str]:
        """For the terminal."""
        lines = [f"{self.folder}: {', '.join(f'{file} {count}' for file, count in self.rows.items())}"]
        lines += [f"  configs: {', '.join(self.configs)}"] if self.configs else []
        lines += [f"  {doubt}" for doubt in self.doubts]
        return lines + [
            f"  {place}: nothing but dates, which `datasets` reads as moments; kb export --to datasets keeps them as"
            " texts"
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
    workspace: Workspace,
    names: Sequence[str],
    out: Path,
    prompts: Prompts,
    validation: float = 0.0,
    recipe: Recipe | None = None,
) -> ExportReport:
    """Write the rows in each of the named forms to `out`/NAME, in place of an earlier export.

    With a recipe, the configs of its training are beside them where the form is a trainer's.
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
    return ExportReport(tuple(_export(form, splits, out / form.name, recipe) for form in forms), rows.left_out)


def chosen(names: Sequence[str]) -> list[Format]:
    """The forms of these names, each once. Raises UsageError for an unknown name, with the nearest and all known."""
    known = [*FORMATS, ALL]
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {close[0]!r}?" if close else "."
            raise UsageError(f"no export format {name!r}{hint} Known: {', '.join(known)}")
    return list(FORMATS.values()) if ALL in names else [FORMATS[name] for name in dict.fromkeys(names)]


def _export(form: Format, splits: Mapping[str, Rows], folder: Path, recipe: Recipe | None) -> Export:
    parts = [part for side, rows in splits.items() for part in _parts(form, side, rows)]
    texts = {"dataset_info.json": as_json(dataset_info(parts))} if form.indexed else {}
    ready = READY[form.name](recipe) if recipe and form.name in READY else {}
    kinds = {part.kind for part in parts}
    # Without preference rows there is no DPO.
    ready = {name: text for name, text in ready.items() if "preference" in kinds or not name.startswith("dpo")}
    write_folder(folder, parts, "\n".join([form.use, *_steps(form, ready)]), texts | ready)
    moments = tuple(place for part in parts for place in part.moments)
    counts = {part.file: len(part.rows) for part in parts}
    return Export(form.name, str(folder), counts, moments, tuple(ready), _doubts(form, recipe))


def _steps(form: Format, ready: Mapping[str, str]) -> list[str]:
    """How the configs are used, for the README."""
    if not ready:
        return []
    commands = [COMMANDS[form.name][name] for name in ("sft", "merge", "dpo") if any(f.startswith(name) for f in ready)]
    return [
        "",
        "Ready configs, with the settings of `[train]`; started in this folder:",
        "",
        *(f"- `{one}`" for one in commands),
    ]


def _doubts(form: Format, recipe: Recipe | None) -> tuple[str, ...]:
    """What a user has to fill in."""
    if recipe and form.name == "llama-factory" and not template_name(recipe):
        return (f"no template of LLaMA-Factory is known to write what that of {recipe.model} does: fill in `template`",)
    return ()


def _parts(form: Format, side: str, rows: Rows) -> list[Part]:
    """The files of one side of the split; a kind without rows has none."""
    kinds = (("sft", form.sft, rows.sft), ("preference", form.preference, rows.preference))
    return [
        Part(kind, side, form.file.format(f"{kind}-{side}"), tuple(map(shape, some)))
        for kind, shape, some in kinds
        if some
    ]
