"""Who is asked: the arms that there is a model for, and the models behind them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from kb.errors import ConfigError, UsageError
from kb.evaluate.arms import ARMS, Arm, others
from kb.llm import LLM
from kb.llm.base import ModelConfig
from kb.llm.open import is_local, open_model
from kb.llm.tuned import documents_changed, open_tuned, questions_changed
from kb.records import Probe
from kb.runs import Run, find_run
from kb.store import Store

log = logging.getLogger(__name__)

RUN, MODEL = "run:", "model:"
"""What begins the name of a run or a model that is compared besides."""


@dataclass(frozen=True)
class Contenders:
    """Who is asked."""

    arms: tuple[Arm, ...]
    runs: Mapping[str, Run]
    """By what an arm calls its model: tuned, sft, and `run:NAME`."""
    models: tuple[str, ...]
    """`model:NAME`, each."""

    @property
    def trained(self) -> Run | None:
        """The run that is evaluated; None where there is none."""
        return self.runs.get("tuned")

    @property
    def watched(self) -> frozenset[str]:
        """Facts whose held-out wordings chose an adapter that is asked: they measure none of them any more."""
        return frozenset(fact for run in self.runs.values() for fact in run.lineage.watched)


def contenders(store: Store, model: ModelConfig, run: str, compare: Sequence[str]) -> Contenders:
    """The arms that there is a model for and that are asked for.

    Raises ConfigError for a comparison that means nothing and UsageError for a run that does not exist or that the
    model cannot carry.
    """
    named = _named(compare)
    runs = _runs(store, model, run, [name for name in named if name.startswith(RUN)])
    models = tuple(name for name in named if name.startswith(MODEL))
    reads = "rag" in compare
    there = {"base", *runs}
    arms = [arm for arm in ARMS.values() if arm.model in there and (reads or not arm.reads)]
    arms += [arm for name in named for arm in others(name, reads)]
    return Contenders(tuple(arms), runs, models)


def _named(compare: Sequence[str]) -> list[str]:
    """The runs and models among what is compared, each once."""
    for one in compare:
        kind = next((start for start in (RUN, MODEL) if one.startswith(start)), "")
        if one not in ("rag", "none") and one in (kind, *([one] if not kind else [])):
            raise ConfigError(f"[eval] compare: expected rag, none, run:NAME or model:NAME, got {one!r}")
    if "none" in compare and "rag" in compare:
        raise ConfigError("[eval] compare: rag and none exclude each other")
    return list(dict.fromkeys(one for one in compare if one not in ("rag", "none")))


def _runs(store: Store, model: ModelConfig, run: str, named: Sequence[str]) -> dict[str, Run]:
    """The run that is evaluated, as its first stage left it, and those it is compared with."""
    wanted = [run, *(name.removeprefix(RUN) for name in named)]
    if not is_local(model.name):
        if any(wanted):
            raise UsageError(
                f"{model.name} is not a local model and cannot carry the adapter of run {next(filter(None, wanted))}"
            )
        return {}
    trained = find_run(store, run)
    first = trained.unsharpened if trained else None
    found = {"tuned": trained, "sft": first} | {name: find_run(store, name.removeprefix(RUN)) for name in named}
    return {name: one for name, one in found.items() if one}


def announce(model: ModelConfig, asked: Contenders, probes: Sequence[Probe], store: Store) -> None:
    """What is about to happen, and what the user may not expect of it."""
    trained = asked.trained
    if not is_local(model.name):
        log.info("%s cannot carry an adapter, so the tuned arms are left out", model.name)
    elif trained is None:
        log.info("there is no training run yet, so the tuned arms are left out")
    for run in {one.name: one for one in asked.runs.values()}.values():
        if documents_changed(run, store):
            log.warning("documents have changed since run %s was trained; it cannot know what is new", run.name)
        elif questions_changed(run, store):
            log.warning(
                "questions have been made anew since run %s was trained: it may be asked what it never saw, or what it"
                " was trained on, and what is withheld today (placebo, text only) is not asked. For figures of today's"
                " questions: kb train",
                run.name,
            )
    log.info("eval: %d probes to %s", len(probes), ", ".join(arm.name for arm in asked.arms))


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
