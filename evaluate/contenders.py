"""Who is asked: the arms that there is a model for, and the models behind them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from kb.errors import ConfigError, UsageError
from kb.evaluate.arms import ARMS, Arm, others
from kb.llm import LLM
from kb.llm.adapters import adapter_kind
from kb.llm.base import ModelConfig
from kb.llm.open import is_local, open_model
from kb.llm.tuned import documents_changed, open_tuned, questions_changed
from kb.records import Probe
from kb.runs import Run, find_run
from kb.store import Store
from kb.workspace import Workspace

log = logging.getLogger(__name__)

KINDS = {"LORA": "a LoRA", "PROMPT_TUNING": "a tuned prompt", "PREFIX_TUNING": "a tuned prefix"}
"""Kinds of adapter in words."""
RUN, MODEL, CONTROL = "run:", "model:", "control:"
"""What begins the name of a run or a model that is compared besides, and of a workspace with other documents."""


@dataclass(frozen=True)
class Contenders:
    """Who is asked."""

    arms: tuple[Arm, ...]
    runs: Mapping[str, Run]
    """By what an arm calls its model: tuned, sft, control and `run:NAME`."""
    models: tuple[str, ...]
    """`model:NAME`, each."""

    @property
    def trained(self) -> Run | None:
        """The run that is evaluated; None where there is none."""
        return self.runs.get("tuned")

    @property
    def watched(self) -> frozenset[str]:
        """Facts whose held-out wordings chose an adapter that is asked: they measure none of them any more."""
        ours = (run for name, run in self.runs.items() if name != "control")
        return frozenset(fact for run in ours for fact in run.lineage.watched)


def contenders(store: Store, model: ModelConfig, run: str, compare: Sequence[str]) -> Contenders:
    """The arms that there is a model for and that are asked for.

    Raises ConfigError for a comparison that means nothing, UsageError for a run that does not exist, that the model
    cannot carry, alone or beside another, or that is no control, and WorkspaceError for a control without a workspace.
    """
    named = _named(compare)
    runs = _runs(store, model, run, [name for name in named if name.startswith((RUN, CONTROL))])
    _check_kinds(runs)
    models = tuple(name for name in named if name.startswith(MODEL))
    reads = "rag" in compare
    there = {"base", *runs}
    arms = [arm for arm in ARMS.values() if arm.model in there and (reads or not arm.reads)]
    arms += [arm for name in named if not name.startswith(CONTROL) for arm in others(name, reads)]
    return Contenders(tuple(arms), runs, models)


def _named(compare: Sequence[str]) -> list[str]:
    """The runs and models among what is compared, each once."""
    for one in compare:
        kind = next((start for start in (RUN, MODEL, CONTROL) if one.startswith(start)), one)
        if one == kind and one not in ("rag", "none"):
            raise ConfigError(
                f"[eval] compare: expected rag, none, run:NAME, model:NAME or control:WORKSPACE, got {one!r}"
            )
    if "none" in compare and "rag" in compare:
        raise ConfigError("[eval] compare: rag and none exclude each other")
    controls = [one for one in dict.fromkeys(compare) if one.startswith(CONTROL)]
    if len(controls) > 1:
        raise ConfigError(
            f"[eval] compare: one control is enough, got {' and '.join(controls)}; evaluate again for another"
        )
    return list(dict.fromkeys(one for one in compare if one not in ("rag", "none")))


def _runs(store: Store, model: ModelConfig, run: str, named: Sequence[str]) -> dict[str, Run]:
    """The run that is evaluated, as its first stage left it, and those it is compared with."""
    wanted = [run, *(name.partition(":")[2] for name in named)]
    if not is_local(model.name):
        if any(wanted):
            raise UsageError(
                f"{model.name} is not a local model and cannot carry the adapter of run {next(filter(None, wanted))}"
            )
        return {}
    trained = find_run(store, run)
    first = trained.unsharpened if trained else None
    found = {"tuned": trained, "sft": first}
    for name in named:
        kind, _, rest = name.partition(":")
        found |= {"control": _control(Path(rest), store)} if kind == "control" else {name: find_run(store, rest)}
    return {name: one for name, one in found.items() if one}


def _check_kinds(runs: Mapping[str, Run]) -> None:
    """Raise UsageError where two runs left adapters of two kinds, which peft does not put on one model."""
    found = [(name, run.name, kind) for name, run in runs.items() if (kind := adapter_kind(run.adapter))]
    # A control cannot be evaluated by itself here.
    found.sort(key=lambda one: one[0] == "control")
    odd = next((one for one in found if one[2] != found[0][2]), None)
    if odd is None:
        return
    (_, first, own), (name, other, kind) = found[0], odd
    cure = f"Evaluate each by itself (kb eval --run {first}, kb eval --run {other}) and compare them: kb eval diff"
    if name == "control":
        cure = f"Take for the control a run that was trained as {first} was"
    raise UsageError(
        f"run {first} is {KINDS.get(own, own)} and run {other} is {KINDS.get(kind, kind)}:"
        f" one model cannot carry both kinds of adapter. {cure}"
    )


def _control(folder: Path, store: Store) -> Run:
    """The run in use in another workspace, which was trained on other documents: what it has above the base here is
    form and no knowledge.

    Raises WorkspaceError where there is no workspace, and UsageError where it has no run or shares documents with this.
    """
    other = Workspace(folder.expanduser()).store
    try:
        run = find_run(other)
    finally:
        other.close()
    if run is None:
        raise UsageError(f"there is no training run in {folder} to be the control. Train one there: kb train")
    mine = {row["sha256"] for row in store.sql("SELECT sha256 FROM documents WHERE retired = 0")}
    shared = [path for path, sha256 in run.lineage.files.items() if sha256 in mine]
    if shared:
        raise UsageError(
            f"run {run.name} of {folder} was trained on {len(shared)} of these documents, such as {shared[0]}:"
            " a control is trained on others"
        )
    return run


def announce(model: ModelConfig, asked: Contenders, probes: Sequence[Probe], store: Store) -> None:
    """What is about to happen, and what the user may not expect of it."""
    trained = asked.trained
    if not is_local(model.name):
        log.info("%s cannot carry an adapter, so the tuned arms are left out", model.name)
    elif trained is None:
        log.info("there is no training run yet, so the tuned arms are left out")
    for run in {one.name: one for name, one in asked.runs.items() if name != "control"}.values():
        if documents_changed(run, store):
            log.warning("documents have changed since run %s was trained; it cannot know what is new", run.name)
        elif questions_changed(run, store):
            log.warning(
                "questions have been made anew since run %s was trained: it may be asked what it never saw, or what it"
                " was trained on, and what is withheld today (placebo, text only) is not asked. For figures of today's"
                " questions: kb train",
                run.name,
            )
    names = ", ".join(arm.name for arm in asked.arms)
    log.info("eval: %d probes to %s; held-out questions first", len(probes), names)


@contextmanager
def opened(model: ModelConfig, asked: Contenders, store: Store) -> Iterator[dict[str, LLM]]:
    """The models by what an arm calls them: the base and all its adapters on one set of weights, and the others."""
    with ExitStack() as stack:
        base = open_model(model, store)
        stack.callback(base.close)
        models = {"base": base} | {name: open_tuned(base, run, store) for name, run in asked.runs.items()}
        for name in asked.models:
            models[name] = open_model(replace(model, name=name.removeprefix(MODEL)), store)
            stack.callback(models[name].close)
        yield models
