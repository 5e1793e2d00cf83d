"""What `kb export` notes in the folder of a model, by which kb knows it again when it is to be asked."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from kb.llm.open import is_local
from kb.workspace import write_json

MANIFEST = "manifest.json"
KIND = {"kb export": "model"}
"""By which the manifest is told from others of this name."""


@dataclass(frozen=True)
class Exported:
    """A model into which a run is merged."""

    run: str
    key: str
    """Of what decides the weights and whether they pass."""
    identity: str
    """Of the folder; see `kb.llm.identity`."""


def write_exported(folder: Path, exported: Exported) -> None:
    """Note it in the folder."""
    write_json(folder / MANIFEST, KIND | asdict(exported))


def read_exported(folder: Path) -> Exported | None:
    """What is noted in the folder; None where that is no export of kb."""
    try:
        made = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return Exported(made["run"], made["key"], made["identity"]) if KIND.items() <= made.items() else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def exported(name: str) -> Exported | None:
    """What is noted of the model that a setting names; None for any other than an export of kb."""
    return read_exported(Path(name).expanduser()) if is_local(name) else None


def carries_runs(name: str) -> bool:
    """Whether the adapters of runs can be on the model of this name: it is on this machine and has no run in it yet."""
    return is_local(name) and exported(name) is None
