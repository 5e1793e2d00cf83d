"""`kb doctor`: what this machine has, what is missing, and the cure for each finding."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path

from kb.errors import KBError, ModelUnavailable
from kb.llm.base import ModelConfig
from kb.offline import QUIET, hub_is_offline
from kb.store import passing

PACKAGES = (
    "torch", "transformers", "trl", "peft", "bitsandbytes", "accelerate", "datasets", "chromadb",
    "sentence-transformers",
)  # fmt: skip
"""Always shown; of the others only those that are missing or of another version than kb wants."""
EXTRAS = {
    "ocr": "scanned pages of PDF files are not read",
    "tables": "merged cells of tables in PDF files are not read",
}
"""Extras for documents, and what is lost without each."""
LEAST_DISK = 20
"""GiB: a 4 B model in bf16 takes 8, its index, runs and checkpoints a few more."""
LEAST_GPU = 12
"""GiB of GPU memory to train a 4 B model in 4 bits with rows of 2,000 tokens."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    state: str
    """ok, note or bad: fine, worth knowing, in the way."""
    detail: str
    cure: str = ""
    """What to do; never empty for a bad one."""


def as_lines(findings: Sequence[Finding]) -> list[str]:
    """For the terminal: a line a finding, its cure below it, and at the end whether anything is in the way."""
    lines = []
    for finding in findings:
        lines.append(f"{finding.state:<5} {finding.name:<22} {finding.detail}")
        lines += [f"{'':<28} cure: {finding.cure}"] if finding.cure else []
    bad = [finding.name for finding in findings if finding.state == "bad"]
    notes = sum(finding.state == "note" for finding in findings)
    also = f"; {notes} worth knowing" if notes else ""
    return [*lines, f"in the way: {', '.join(bad)}{also}" if bad else f"nothing in the way{also}"]


def examine(root: Path, model: ModelConfig, embedder: str) -> Iterator[Finding]:
    """Look at everything, cheapest first; what is broken is a finding and never stops the rest."""
    version = ".".join(map(str, sys.version_info[:3]))
    fine = sys.version_info >= (3, 11)
    yield Finding("python", "ok" if fine else "bad", version, "" if fine else "install Python 3.11 or newer")
    yield from _packages()
    yield from _extras()
    yield _gpu()
    yield _disk(root)
    yield _model(root, model)
    yield _embedder(embedder)
    yield _network()
    yield _workspace(root)


def _packages() -> Iterator[Finding]:
    from packaging.requirements import Requirement

    wanted = [Requirement(text) for text in metadata.requires("kb") or [] if "extra ==" not in text]
    fitting = 0
    for requirement in sorted(wanted, key=lambda one: (one.name not in PACKAGES, one.name)):
        cure = f"pip install -c constraints.txt '{requirement}'"
        version = _version(requirement.name)
        if version is None:
            yield Finding(requirement.name, "bad", "not installed", cure)
        elif not requirement.specifier.contains(version, prereleases=True):
            yield Finding(requirement.name, "bad", f"{version}, kb wants {requirement.specifier}", cure)
        elif requirement.name in PACKAGES:
            yield Finding(requirement.name, "ok", version)
        else:
            fitting += 1
    yield Finding("other packages", "ok", f"{fitting} as kb wants them")


def _extras() -> Iterator[Finding]:
    from packaging.requirements import Requirement

    wanted = [Requirement(text) for text in metadata.requires("kb") or []]
    for extra, lost in EXTRAS.items():
        own = [one for one in wanted if one.marker and one.marker.evaluate({"extra": extra})]
        if any(_version(one.name) is None for one in own):
            yield Finding(f"kb[{extra}]", "note", f"not installed: {lost}", f"pip install 'kb[{extra}]'")
        else:
            yield Finding(f"kb[{extra}]", "ok", "installed")


def _version(package: str) -> str | None:
    """The version that is installed; None where none is."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _gpu() -> Finding:
    try:
        import torch
    except (ImportError, OSError) as error:
        return Finding("gpu", "bad", f"torch cannot be imported: {error}", "install torch anew: make clean, make demo")
    if not torch.cuda.is_available():
        detail = f"none; torch {torch.__version__} computes on {os.cpu_count()} CPU cores"
        cure = "fine for the lab model; to train a 4 B model, use a machine with an NVIDIA GPU of 12 GiB or more"
        if shutil.which("nvidia-smi"):
            detail = f"there is an NVIDIA driver, and torch {torch.__version__} cannot use it"
            cure = "see what nvidia-smi says; with a CPU build of torch: pip install --force-reinstall torch"
        return Finding("gpu", "note", detail, cure)
    free, total = (value / 2**30 for value in torch.cuda.mem_get_info())
    detail = (
        f"{torch.cuda.get_device_name()}, {free:.1f} of {total:.1f} GiB free, bf16 {torch.cuda.is_bf16_supported()}"
    )
    short = free < LEAST_GPU
    cure = "close other programs on the GPU, lower micro_batch, or take a smaller model" if short else ""
    return Finding("gpu", "note" if short else "ok", detail, cure)


def _disk(root: Path) -> Finding:
    home = root.expanduser().resolve()
    place = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(place).free / 2**30
    short = free < LEAST_DISK
    cure = "free some space, or put the workspace elsewhere with --workspace" if short else ""
    return Finding("disk", "note" if short else "ok", f"{free:.0f} GiB free at {place}", cure)


def _model(root: Path, config: ModelConfig) -> Finding:
    from kb.llm.fake import FakeLLM
    from kb.llm.identity import WEIGHTS
    from kb.llm.open import local_folder

    kind, _, rest = config.name.partition(":")
    wrong = "correct [model] name in kb.toml, or give --model"
    if kind == "openai":
        return _server(root, config, rest)
    try:
        if kind == "fake":
            FakeLLM.from_file(Path(rest))
            return Finding("model", "ok", f"{config.name}, scripted answers; it cannot be trained")
        folder = local_folder(config.name)
    except KBError as error:
        return Finding("model", "bad", str(error), wrong)
    if folder is None:
        cure = f"hf download {config.name}; or a folder, a server or `lab` as [model] name in kb.toml"
        return Finding("model", "bad", f"{config.name} is not on this disk", cure)
    if not any(file for pattern in WEIGHTS for file in folder.glob(pattern)):
        cure = "make lab-model" if config.name == "lab" else f"copy the model's *.safetensors to {folder}"
        return Finding("model", "bad", f"{config.name} at {folder} has no weights", cure)
    return Finding("model", "ok", f"{config.name} at {folder}")


def _server(root: Path, config: ModelConfig, model: str) -> Finding:
    from kb.llm.openai_api import OpenAIServer

    try:
        server = OpenAIServer(config, model)
        found = server.models()
        held = _schemas(root, config, server.identity)
    except KBError as error:
        return Finding("model", "bad", f"{config.name} cannot be asked at {config.base_url}", str(error))
    known = ", ".join(found) or "none"
    if found and model not in found:
        return Finding("model", "bad", f"{config.base_url} has no model {model}", f"one of those it has: {known}")
    detail = f"{config.name} at {config.base_url}, which lists: {known}; {held}it cannot be trained"
    return Finding("model", "ok", detail)


def _schemas(root: Path, config: ModelConfig, identity: str) -> str:
    """Whether facts and questions are asked for in JSON, as far as kb.toml says it or a run has found it out."""
    from kb.llm.schema import setting_of

    state, why = config.json_schema, "as kb.toml says"
    file = root.expanduser().resolve() / "kb.db"
    if state == "auto" and file.exists():
        why = "as a probe showed"
        with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as db:
            row = db.execute("SELECT value FROM settings WHERE key = ?", (setting_of(identity),)).fetchone()
            state = row[0] if row else state
    return {"on": f"facts and questions in JSON, {why}; ", "off": f"no JSON schemas, {why}; "}.get(state, "")


def _embedder(name: str) -> Finding:
    from kb.llm.open import local_folder
    from kb.retrieval.dense import DEFAULT_EMBEDDER, find_embedder

    wrong = 'correct embedder under [retrieval] in kb.toml, or set it to "none"'
    if name == "none":
        return Finding("embedder", "ok", "none, as kb.toml says: retrieval is BM25 alone")
    try:
        # Looked for on this disk alone: a doctor does not fetch a model.
        found = find_embedder(name) if name == "auto" else (local_folder(name), name)
    except ModelUnavailable as error:
        return Finding("embedder", "bad", str(error), wrong)
    if found is None:
        cure = f"hf download {DEFAULT_EMBEDDER}, for search by meaning in both languages"
        return Finding("embedder", "note", "none on this disk: retrieval is BM25 alone", cure)
    if found[0] is None:
        return Finding("embedder", "bad", f"{name} is not on this disk", f"hf download {name}; or {wrong}")
    return Finding("embedder", "ok", f"{found[1]} at {found[0]}")


def _network() -> Finding:
    loud = [key for key, value in QUIET.items() if os.environ.get(key, value) != value and "TELEMETRY" in key]
    hub = "offline (HF_HUB_OFFLINE)" if hub_is_offline() else "asked only for models that are not on this disk"
    if loud:
        return Finding(
            "network", "note", f"hub: {hub}; telemetry is on by {', '.join(loud)}", f"unset {' '.join(loud)}"
        )
    return Finding("network", "ok", f"hub: {hub}; telemetry of all libraries off")


def _workspace(root: Path) -> Finding:
    file = root.expanduser().resolve() / "kb.db"
    if not file.exists():
        return Finding("workspace", "note", f"none at {file.parent}", "kb ingest PATH")
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as db:
            health = str(db.execute("PRAGMA quick_check").fetchone()[0])
            schema = int(db.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.DatabaseError as error:
        if passing(error):
            return Finding("workspace", "bad", f"{file}: {error}", "free space on its disk, or mend its permissions")
        health, schema = str(error), 0
    if health != "ok":
        return Finding("workspace", "bad", f"{file}: {health}", f"move {file} away and ingest again: kb ingest PATH")
    known = sum(1 for _ in resources.files("kb").joinpath("migrations").iterdir())
    if schema > known:
        return Finding("workspace", "bad", f"{file}: schema {schema}, this kb knows {known}", "upgrade kb")
    return Finding("workspace", "ok", f"{file.parent}, schema {schema}, database whole")
