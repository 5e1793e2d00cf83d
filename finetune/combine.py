"""`kb adapters combine`: one adapter that changes the base by the weighted sum of what several change."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kb.errors import KBError, UsageError
from kb.llm.base import ModelConfig
from kb.llm.identity import combine as hashed
from kb.llm.identity import folder_identity
from kb.llm.open import find_folder
from kb.llm.tuned import check_base, check_files
from kb.runs import Lineage, Part, Run, all_runs, find_run, make_current, nameable, register
from kb.store import Store
from kb.workspace import Workspace, write_json

SMALLEST = 1e-4
"""The least difference of logits that counts as an effect, as a share of the largest: less is rounding."""
BEYOND_SUM = {
    "use_rslora": "rsLoRA, whose scaling peft applies to the parts and to the sum",
    "use_dora": "DoRA, whose magnitudes peft does not combine",
    "lora_bias": "biases, which peft leaves out of a combined adapter",
    "modules_to_save": "whole layers beside the LoRA matrices, which cannot be added",
    "trainable_token_indices": "trained tokens beside the LoRA matrices, which cannot be added",
    "target_parameters": "LoRA on bare parameters, which peft cannot combine",
    "layer_replication": "replicated layers, which are another base",
    "ensure_weight_tying": "tied layers, which peft does not tie again in a combined adapter",
    "alora_invocation_tokens": "aLoRA, which is on for a part of the prompt only",
    "use_qalora": "QALoRA, whose matrices are of another form",
    "use_bdlora": "block-diagonal LoRA, whose matrices are of another form",
    "monteclora_config": "MonteCLoRA, whose matrices are random",
    "kasa_config": "KaSA, whose base is changed",
    "velora_config": "VeLoRA, whose gradients are compressed",
    "arrow_config": "Arrow routing, which is no sum",
}
"""Setting in peft's adapter_config.json that is more than a sum of low-rank matrices, and why it is refused."""
PLAIN_BEGINNINGS = (True, False, None, "gaussian", "eva", "orthogonal")
"""Initial values that leave the base as it was; PiSSA's and the like are part of the base's weights."""


@dataclass(frozen=True)
class Combined:
    """What was made."""

    name: str
    adapter: Path
    parts: tuple[Part, ...]
    rank: int

    def lines(self) -> list[str]:
        """For the terminal."""
        total = " + ".join(f"{part.weight:g} x {part.run}" for part in self.parts)
        return [
            f"run {self.name} = {total}, rank {self.rank}: {self.adapter}",
            "what the base computes with it is changed by exactly that sum; what it then knows, an evaluation says",
            f"next: kb adapters use {self.name}, or kb eval --run {self.name}",
        ]


def run(workspace: Workspace, name: str, runs: Sequence[str], weights: Sequence[float], model: ModelConfig) -> Combined:
    """Combine the adapters of registered runs into one that is registered as `name`; which one is in use stays.

    Raises UsageError for a name that is taken, runs that cannot be added and weights that mean nothing; KBError when
    the sum has no effect.
    """
    store = workspace.store
    _check_name(workspace, name)
    found = _checked(store, runs, weights)
    base = find_folder(model.name)
    check_base(base, found[0], store)
    target = workspace.run(name) / "combined"
    shutil.rmtree(target, ignore_errors=True)
    parts = tuple(Part(one.name, one.lineage.adapter_identity, float(w)) for one, w in zip(found, weights, strict=True))
    rank = _make(base, model.load_in_4bit, [one.adapter for one in found], weights, target / "adapter")
    settings = {"combined": [asdict(part) for part in parts], "combination": "cat", "rank": rank}
    write_json(workspace.run(name) / "config.json", settings)
    used = all_runs(store)[-1].name
    with store.transaction():
        register(store, name, settings, {}, _lineage(found, parts, target / "adapter"))
        make_current(store, used)
    return Combined(name, target / "adapter", parts, rank)


def _check_name(workspace: Workspace, name: str) -> None:
    if not nameable(name):
        raise UsageError(f"{name!r} cannot be the name of a folder")
    if (workspace.run(name) / "key").exists() or any(one.name == name for one in all_runs(workspace.store)):
        raise UsageError(f"there is a run called {name} already; choose another name, or kb adapters delete {name}")


def _checked(store: Store, names: Sequence[str], weights: Sequence[float]) -> list[Run]:
    """The runs, if their sum is one adapter and nothing less. Raises UsageError with the reason if not."""
    if len(set(names)) < max(2, len(names)):
        raise UsageError("name two or more different runs to combine")
    if len(weights) != len(names) or not all(weight and math.isfinite(weight) for weight in weights):
        raise UsageError(f"expected {len(names)} weights other than 0, got {', '.join(map(str, weights))}")
    runs = [found for name in names if (found := find_run(store, name))]
    for one in runs:
        check_files(one, store)
        reason = not_a_sum(one.adapter)
        if reason:
            raise UsageError(f"run {one.name} cannot be combined: it has {reason}")
    for other in runs[1:]:
        _check_alike(runs[0], other)
    return runs


def not_a_sum(adapter: Path) -> str:
    """Why an adapter is more than a sum of low-rank matrices, so that peft's combination would be wrong; empty if not.

    peft 0.21.2 combines rsLoRA, DoRA and biases without a word, and wrongly (peft issue 3761).
    """
    file = adapter / "adapter_config.json"
    if not file.exists():
        return "no adapter but a whole model"
    config: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if config.get("peft_type") != "LORA":
        return f"a {config.get('peft_type')} adapter, which changes no weights that could be added"
    if config.get("bias", "none") != "none":
        return BEYOND_SUM["lora_bias"]
    beginning = config.get("init_lora_weights")
    if beginning not in PLAIN_BEGINNINGS:
        return f"an adapter of {beginning}, whose other half is in weights of the base that it changed"
    return next((reason for key, reason in BEYOND_SUM.items() if config.get(key)), "")


def _check_alike(first: Run, other: Run) -> None:
    """Raise UsageError where two runs have not the same base, or are asked with different tags."""
    ours, theirs = first.lineage, other.lineage
    if ours.base_identity != theirs.base_identity:
        raise UsageError(
            f"runs {first.name} and {other.name} have different bases: {ours.base} ({ours.base_identity}) and"
            f" {theirs.base} ({theirs.base_identity}); the same weights in 4 bits and not count as two"
        )
    if ours.tag != theirs.tag:
        raise UsageError(
            f"runs {first.name} and {other.name} were trained with different tags, {ours.tag!r} and {theirs.tag!r}:"
            " no question could have both"
        )


def _make(base: Path, four_bit: bool, adapters: Sequence[Path], weights: Sequence[float], folder: Path) -> int:
    """Write the combined adapter and return its rank. Raises KBError when it changes nothing, as A - A would."""
    import torch

    from kb.finetune.model import combined, save_adapter
    from kb.llm.weights import load_base, load_tokenizer

    tokenizer = load_tokenizer(base)
    # The base only lends its shapes; new matrices on a bf16 one would be rounded to bf16, on a 4-bit one they are fp32.
    model = combined(load_base(base, four_bit or torch.cuda.is_available()), adapters, weights)
    ids = torch.tensor([tokenizer.encode("1 2 3 一二三")], device=model.device)
    with torch.no_grad():
        on = model(ids).logits
        with model.disable_adapter():
            off = model(ids).logits
    if not float((on - off).abs().max()) > SMALLEST * float(off.abs().max()):
        raise KBError("the weighted sum of these adapters changes nothing: their effects cancel out")
    folder.parent.mkdir(parents=True)
    save_adapter(model, tokenizer, folder)
    return int(json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))["r"])


def _lineage(runs: Sequence[Run], parts: tuple[Part, ...], adapter: Path) -> Lineage:
    """The lineage of all parts together; of a file that two of them read in two versions, the last one's is kept."""
    made = [one.lineage for one in runs]
    files = {path: sha256 for one in made for path, sha256 in one.files.items()}
    same = len({one.documents for one in made}) == 1
    return Lineage(
        base=made[0].base, base_identity=made[0].base_identity, adapter=str(adapter),
        adapter_identity=folder_identity(adapter), data=hashed(one.data for one in made),
        documents=made[0].documents if same else hashed(sorted(set(files.values()))),
        facts=made[0].facts if same else sum(one.facts for one in made),
        questions=made[0].questions if len({one.questions for one in made}) == 1 else "",
        tag=made[0].tag, files=files, parts=parts,
    )  # fmt: skip
