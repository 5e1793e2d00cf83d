"""`kb export`: a run's model as a folder that other programs load, checked to be the model that was trained.

The folder is made aside and gets its name when the check has passed. What a killed command left is made again.
"""

from __future__ import annotations

import gc
import json
import logging
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from kb.errors import GateFailed, UsageError, WorkspaceError
from kb.evals import last_evaluation
from kb.finetune.export_card import About, card, serve_script
from kb.finetune.export_config import ExportConfig
from kb.finetune.export_files import copy_licence, trained_template, write_generation, write_prompts, write_tokenizer
from kb.finetune.export_gguf import find_converter
from kb.finetune.export_gguf_check import Gguf, make, present
from kb.finetune.export_ollama import NotDerived, derive, modelfile
from kb.finetune.export_parity import (
    Case,
    Parity,
    View,
    cases,
    compare,
    read_parity,
    view_of_adapter,
    view_of_folder,
    write_parity,
)
from kb.finetune.export_weights import DTYPES, check_disk, is_full, merged, parameters, save
from kb.finetune.model import stop_tokens
from kb.llm.base import ModelConfig
from kb.llm.exported import MANIFEST, Exported, read_exported, write_exported
from kb.llm.identity import combine, folder_identity
from kb.llm.local import LocalLLM
from kb.llm.open import find_folder, lab_folder
from kb.llm.tuned import documents_changed, open_tuned, placebo_documents
from kb.llm.weights import load_tokenizer, load_weights
from kb.prompt import Prompts
from kb.records import Document, Fact
from kb.runs import WEAK, Run, find_run
from kb.workspace import Workspace, write_text

log = logging.getLogger(__name__)

BYTES = {"bf16": 2.0, "fp16": 2.0, "fp32": 4.0, "f16": 2.0, "f32": 4.0, "q8_0": 1.07}
"""Of one weight, by the type that it is stored in."""


@dataclass(frozen=True)
class ExportReport:
    """What `kb export` wrote."""

    run: str
    folder: str
    identity: str
    gib: float
    parity: Parity
    gguf: str
    """Path of the GGUF file; empty without one."""
    gguf_parity: Parity | None
    """Of that file; None where it was not compared."""
    serve: str
    """The command by which kb serves it."""
    notes: tuple[str, ...]
    problems: tuple[str, ...]
    """What was asked for and is not there, or could not be checked."""
    already_done: bool

    def lines(self) -> list[str]:
        """For the terminal."""
        done = " was exported already" if self.already_done else ""
        lines = [f"run {self.run}{done}: {self.folder} ({self.gib:.3g} GiB)", self.parity.line()]
        lines += [f"gguf: {self.gguf}"] if self.gguf else []
        lines += [self.gguf_parity.line("gguf parity")] if self.gguf_parity else []
        how = f"how to run it: {self.folder}/README.md, or {self.serve}"
        return [*lines, *self.notes, *self.problems, how]


@dataclass(frozen=True)
class _Job:
    """One export."""

    workspace: Workspace
    run: Run
    base: Path
    four_bit: bool
    model: ModelConfig
    prompts: Prompts
    config: ExportConfig
    folder: Path

    @property
    def serve(self) -> str:
        """The command by which kb serves the model, asked as it was trained."""
        pack = self.prompts.pack
        own = ["--prompts", "lab" if pack == lab_folder() / "prompts" else str(pack)] if pack else []
        return shlex.join(["kb", "serve", "--model", str(self.folder), *own])

    @property
    def key(self) -> str:
        """Sixteen hex digits over what decides the weights and whether they pass."""
        settings = [f"{key}={value}" for key, value in asdict(self.config).items() if key not in NOT_IN_KEY]
        return combine([self.run.lineage.base_identity, self.run.lineage.adapter_identity, *settings])


NOT_IN_KEY = ("run", "out", "gguf", "llama_cpp", "parity_gguf_kl", "parity_gguf_agreement")


def run(
    workspace: Workspace, config: ExportConfig, model: ModelConfig, prompts: Prompts, force: bool = False
) -> ExportReport:
    """Export the run that `config` names. `force` makes it anew, and in place of another export of kb.

    Raises UsageError for a run that is not there or cannot be merged and a folder that is in the way, KBError where
    disk or memory do not suffice, and GateFailed, leaving the folder or the GGUF file as NAME.failed, when it is not
    the trained model. A GGUF file that is not leaves the rest of the export whole.
    """
    job = _plan(workspace, config, model, prompts)
    if config.gguf and find_converter(config.llama_cpp) is None:
        log.warning("there is no llama.cpp converter; the rest is exported")
    done = _free_to_write(job, force)
    found = cases(workspace.store, job.prompts, config.parity_probes)
    seen = None if done else _build(job, found)
    parity = read_parity(job.folder / "parity.json")
    gguf = present(job.folder)
    if config.gguf:
        gguf = make(job.folder, job.run.name, config, found, lambda: seen or _seen(job, found))
    notes = _write_about(job, found, parity, gguf)
    if gguf.refused:
        raise GateFailed(
            f"the GGUF file is not the model that was trained: {gguf.refused}."
            f" The rest of the export stands: {job.folder}"
        )
    size = sum(file.stat().st_size for file in job.folder.iterdir()) / 2**30
    return ExportReport(
        job.run.name, str(job.folder), _read(job.folder / MANIFEST)["identity"], size, parity,
        str(job.folder / gguf.name) if gguf.name else "", gguf.parity, job.serve, tuple(notes),
        (gguf.problem,) if config.gguf and gguf.problem else (), done,
    )  # fmt: skip


def _plan(workspace: Workspace, config: ExportConfig, model: ModelConfig, prompts: Prompts) -> _Job:
    trained = find_run(workspace.store, config.run)
    if trained is None:
        raise WorkspaceError(
            "there is no training run to export. Train one: kb train. For its rows: kb export --to NAME"
        )
    full = is_full(trained.adapter)
    base = find_folder(model.name)
    in_nf4 = combine([folder_identity(base, workspace.store), "nf4=True"]) == trained.lineage.base_identity
    folder = Path(config.out).expanduser().resolve() if config.out else workspace.exports / f"model-{trained.name}"
    # It is asked as it was trained, whatever kb.toml says today.
    asked = replace(prompts, tag=trained.lineage.tag)
    return _Job(workspace, trained, base, in_nf4 and not full, model, asked, config, folder)


def _free_to_write(job: _Job, force: bool) -> bool:
    """Whether the folder is this very export, whole. Raises UsageError when something else is in its place."""
    folder = job.folder
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    made = read_exported(folder)
    if made is None:
        raise UsageError(f"{folder} is there and is no export of kb. Move it away, or name another folder with --out")
    if force:
        return False
    if made.key != job.key or made.identity != folder_identity(folder):
        raise UsageError(
            f"{folder} holds an export of other weights or settings. Replace it with --force, or name --out"
        )
    return True


def _build(job: _Job, found: list[Case]) -> View:
    """Merge, write aside, compare, and give the folder its name; what the trained model made of the cases."""
    size = parameters(job.base) * (BYTES[job.config.dtype] + BYTES.get(job.config.gguf, 0.0))
    check_disk(job.folder, int(size))
    with _part(job.folder) as part:
        adapter = _seen(job, found)
        log.info("export: merging the adapter into %s", job.base)
        save(merged(job.base, job.four_bit, job.run.adapter, DTYPES[job.config.dtype]), job.base, part)
        _clean()
        tokenizer = load_tokenizer(job.base)
        write_tokenizer(job.base, tokenizer, part)
        write_generation(job.base, tokenizer, part)
        log.info("export: the files as they are written are asked the same")
        parity = compare(found, adapter, view_of_folder(part, found))
        _clean()
        write_parity(part / "parity.json", parity)
        _gate(job, parity, part)
        write_exported(part, Exported(job.run.name, job.key, folder_identity(part)))
    return adapter


def _seen(job: _Job, found: list[Case]) -> View:
    """What the model as it was trained makes of the cases."""
    trained = _opened(job)
    log.info("export: the model as it was trained is asked %d prompts", len(found))
    adapter = view_of_adapter(trained, found)
    trained.close()
    _clean()
    return adapter


def _opened(job: _Job) -> LocalLLM:
    """The trained model, its base loaded as in training."""
    store = job.workspace.store
    if is_full(job.run.adapter):
        return LocalLLM(load_weights(job.run.adapter, False, job.model.batch_tokens, store))
    base = LocalLLM(load_weights(job.base, job.four_bit, job.model.batch_tokens, store))
    tuned = open_tuned(base, job.run, store)
    assert isinstance(tuned, LocalLLM)
    return tuned


def _gate(job: _Job, parity: Parity, part: Path) -> None:
    """Raise GateFailed, keeping the files under a name that says so, when they are not the model that was trained."""
    failures = parity.failures(job.config)
    if not failures:
        return
    kept = job.folder.with_name(f"{job.folder.name}.failed")
    shutil.rmtree(kept, ignore_errors=True)
    part.rename(kept)
    raise GateFailed(
        f"the exported files are not the model that was trained: {'; '.join(failures)}. They are kept in {kept} to be"
        " looked at. Where rounding is the cause, --dtype fp32 has none; the limits are under [export]"
    )


@contextmanager
def _part(folder: Path) -> Iterator[Path]:
    """A new folder aside that takes the place of `folder` at the end; an error leaves what was there."""
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _clean() -> None:
    """Give a model's memory back before the next one is loaded."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _write_about(job: _Job, found: list[Case], parity: Parity, gguf: Gguf) -> list[str]:
    """Write what goes with the weights for people and servers; what they should know is returned."""
    folder, tokenizer = job.folder, load_tokenizer(job.base)
    template = trained_template(tokenizer)
    try:
        pieces: Any = derive(tokenizer, template, [case.chat for case in found])
    except NotDerived as error:
        pieces = str(error)
    notes = [f"Modelfile without TEMPLATE: {pieces}"] if isinstance(pieces, str) else []
    stops = [tokenizer.convert_ids_to_tokens(one) for one in sorted(stop_tokens(job.base, tokenizer))]
    source = f"./{gguf.name}" if gguf.parity else "."
    write_text(folder / "Modelfile", modelfile(source, pieces, stops))
    rank = 0 if is_full(job.run.adapter) else _read(job.run.adapter / "adapter_config.json")["r"]
    write_text(folder / "serve.sh", serve_script(job.run, str(job.base), rank, job.four_bit))
    (folder / "serve.sh").chmod(0o755)
    write_prompts(job.prompts, folder)
    licences = copy_licence(job.base, folder)
    write_text(folder / "README.md", card(_about(job, parity, licences, gguf)))
    return notes


def _about(job: _Job, parity: Parity, licences: list[str], gguf: Gguf) -> About:
    store, name = job.workspace.store, job.run.name
    manifest = job.workspace.run(name) / MANIFEST
    weak = set(json.loads(store.setting(WEAK + name) or "[]"))
    return About(
        run=job.run, base=job.base, four_bit=job.four_bit, dtype=job.config.dtype,
        identity=_read(job.folder / MANIFEST)["identity"], documents=store.count(Document),
        rows=_read(manifest)["rows"] if manifest.exists() else {}, parity=parity,
        evaluation=last_evaluation(job.workspace.root, job.run),
        unknown=[fact.statement for fact in store.all(Fact) if fact.id in weak],
        withheld=len(placebo_documents(store)), outdated=documents_changed(job.run, store), licences=licences,
        gguf=gguf, serve=job.serve,
    )  # fmt: skip


def _read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))
