"""The watch: held-out knowledge, and what must not be lost, at intervals while a stage trains.

A look asks the model that is trained as an evaluation asks it, greedily and in evaluation mode, and changes nothing of
the training: neither weights nor random numbers. What is decided follows from the looks alone (`stopping`), so that a
resumed run decides as an undisturbed one.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from statistics import fmean
from typing import Any

from torch.utils.tensorboard import SummaryWriter
from transformers import TrainerCallback

from kb.finetune.config import TrainConfig
from kb.finetune.model import restore_adapter, save_adapter, scaled, untrained
from kb.finetune.scaling import SCALES, Try, chosen, hopeful, settled, write_tries
from kb.finetune.stopping import LOOKS, Look, Rules, kept, look_steps, read_looks, stop_reason, taught
from kb.finetune.watchlist import BASE, Asked, Watchlist
from kb.llm import Request
from kb.llm.closed import ANSWER_TOKENS
from kb.llm.drift import TOKENS, Base, load_base, measure_base, measure_drift, save_base
from kb.llm.live import LiveLLM, evaluating
from kb.text.match import judge
from kb.workspace import write_text

log = logging.getLogger(__name__)

BEST = "best"
"""Beginning of the folder of the adapter that is kept; its step follows."""


class Watch(TrainerCallback):  # type: ignore[misc]
    """Looks at the model at intervals, keeps the adapter that knows most, and ends a training that teaches no more."""

    def __init__(
        self, model: Any, tokenizer: Any, watchlist: Watchlist, config: TrainConfig, folder: Path, writer: SummaryWriter
    ) -> None:
        self._model, self._tokenizer, self._list, self._folder = model, tokenizer, watchlist, folder
        self._writer, self._times = writer, config.watch_times
        self._rules = Rules.of(config, folder.name)
        self._factor = 1.0
        self._looks: list[Look] = []
        self._steps: frozenset[int] = frozenset()
        self._base: Base | None = None
        self._since = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Take up the looks up to the step where the run stands, or look for the first time."""
        self._looks = [look for look in read_looks(self._folder) if look.step <= state.global_step]
        write_text(self._folder / LOOKS, "".join(map(_line, self._looks)))
        self._tidy()
        self._steps = look_steps(state.max_steps, self._times)
        self._base = self._reference(state.global_step)
        if not self._looks:
            self._look(state, control)
        self._since = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Look, where it is time to. A stage that ends here leaves no checkpoint: its adapter is there already."""
        if state.global_step in self._steps:
            self._look(state, control)
            self._since = time.monotonic()

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """From here on a resume cannot go back behind this step, nor need an adapter that gave way before it."""
        self._tidy()

    def adapter(self) -> Path | None:
        """Folder of the adapter that is kept; None where there is none."""
        look = kept(self._looks, self._rules)
        folder = self._folder / f"{BEST}-{look.step}" if look else None
        return folder if folder and folder.exists() else None

    def choose_scale(self) -> float:
        """The factor on the kept adapter that is worth most, as far as what is watched tells; see `scaling`.

        The training is over: the model is left with the kept adapter where others were tried.
        """
        look, best = kept(self._looks, self._rules), self.adapter()
        # Where too few facts are watched to decide anything, there is no kept adapter.
        if not best or not look or not self._rules.rescales:
            return 1.0
        if not hopeful(look) or not taught(self._looks, [look], self._rules):
            return 1.0
        restore_adapter(self._model, best)
        tries = [Try(1.0, look)]
        for scale in SCALES:
            began = time.monotonic()
            with scaled(self._model, scale), evaluating(self._model):
                tries.append(Try(scale, self._seen(look.step, began, 0.0)))
            log.info("watch: %s; %.1f s", tries[-1], tries[-1].look.seconds)
            if settled(tries):
                break
        write_tries(self._folder, tries)
        self._factor = chosen(tries).scale
        return self._factor

    def save(self, adapter: Path, weights: dict[str, Any] | None = None) -> None:
        """Leave the adapter of the stage in the folder `adapter`: the kept one at the scale that was chosen, else the
        model's as it stands, of which `weights` are what was trained where no process has all of it.
        """
        best = self.adapter()
        if best and self._factor == 1:
            best.rename(adapter)
            return
        with scaled(self._model, self._factor) if self._factor < 1 else nullcontext():
            save_adapter(self._model, self._tokenizer, adapter, weights)

    def _look(self, state: Any, control: Any) -> None:
        began = time.monotonic()
        training = began - self._since if self._looks else 0.0
        with evaluating(self._model):
            look = self._seen(state.global_step, began, training)
            self._looks.append(look)
            with (self._folder / LOOKS).open("a", encoding="utf-8") as file:
                file.write(_line(look))
            if self._list.decides and kept(self._looks, self._rules) is look:
                best = self._folder / f"{BEST}-{look.step}"
                shutil.rmtree(best, ignore_errors=True)
                save_adapter(self._model, self._tokenizer, best)
        for name, value in look.figures.items():
            self._writer.add_scalar(f"watch/{name}", value, look.step)  # type: ignore[no-untyped-call]
        log.info("watch: step %d of %d: %s; %.1f s", look.step, state.max_steps, look, look.seconds)
        if look.step < state.max_steps and (reason := stop_reason(self._looks, self._rules)):
            log.info("%s ends at step %d of %d: %s", self._folder.name, look.step, state.max_steps, reason)
            control.should_training_stop, control.should_save, control.should_log = True, False, True

    def _seen(self, step: int, began: float, training: float) -> Look:
        """What the model answers now."""
        llm = LiveLLM(self._model, self._tokenizer, self._list.batch_tokens)
        known = [one for one in self._list.known if self._base and one.fact in self._base.knows]
        parts = (self._list.held_out, self._list.trained, known, self._list.refusals)
        answered = iter(_right(llm, [one for part in parts for one in part]))
        held_out, trained, still, refused = [[next(answered) for _ in part] for part in parts]
        facts = self._by_fact(held_out)
        drift = measure_drift(llm, self._general(), self._base) if self._base else None
        counts = {
            "facts": len(facts), "held_out": len(held_out), "trained": len(trained), "known": len(still),
            "refused": len(refused), "general": len(self._list.general), "tokens": drift.tokens if drift else 0,
        }  # fmt: skip
        return Look(
            step, fmean(facts), _share(trained) or 0.0, _share(still), _share(refused),
            drift.agreement if drift else None, drift.kl if drift else None,
            round(time.monotonic() - began, 3), round(training, 3), facts, counts,
        )  # fmt: skip

    def _by_fact(self, right: Sequence[bool]) -> tuple[float, ...]:
        """Share of the held-out wordings of each fact that are right."""
        found: dict[str, list[bool]] = {fact: [] for fact in self._list.facts}
        for one, verdict in zip(self._list.held_out, right, strict=True):
            found[one.fact].append(verdict)
        return tuple(fmean(verdicts) for verdicts in found.values())

    def _general(self) -> list[Request]:
        return [Request(chat, TOKENS) for chat in self._list.general]

    def _reference(self, step: int) -> Base | None:
        """What is kept of the base, computed before the first step of the run; None where that is over."""
        file = self._folder.parent / BASE
        if not file.exists():
            if step or not self._rules.teaches:
                log.warning("%s is gone: general prompts and known facts are not watched any more", file)
                return None
            llm = LiveLLM(self._model, self._tokenizer, self._list.batch_tokens)
            with evaluating(self._model), untrained(self._model):
                right = _right(llm, self._list.known)
                knows = [one.fact for one, verdict in zip(self._list.known, right, strict=True) if verdict]
                save_base(file, measure_base(llm, self._general(), knows))
        return load_base(file)

    def _tidy(self) -> None:
        """Remove every adapter but the one that is kept."""
        best = self.adapter()
        for folder in self._folder.glob(f"{BEST}-*"):
            if folder != best:
                shutil.rmtree(folder)


def _right(llm: LiveLLM, asked: Sequence[Asked]) -> list[bool]:
    """Whether each question is answered right; what was cut off at the token limit is judged as an evaluation does."""
    done = dict(llm.generate([Request(one.messages, ANSWER_TOKENS) for one in asked]))
    return [
        judge(done[number].text, one.gold, one.answer_type, one.aliases).verdict == "correct"
        for number, one in enumerate(asked)
    ]


def _share(verdicts: Sequence[bool]) -> float | None:
    return fmean(verdicts) if verdicts else None


def _line(look: Look) -> str:
    return json.dumps(look.row(), ensure_ascii=False) + "\n"
