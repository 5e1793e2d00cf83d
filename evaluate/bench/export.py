"""`kb bench export`: the probes as a task of lm-evaluation-harness, Inspect or evalscope."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kb.errors import UsageError
from kb.evaluate.arms import ANSWER_TOKENS
from kb.evaluate.bench.probes import ProbeRow, probe_rows
from kb.evaluate.results import VERDICTS
from kb.evaluate.run import EvalConfig
from kb.prompt import Prompts
from kb.store import Store
from kb.workspace import write_jsonl, write_text

HERE = Path(__file__).parent

GREEDY = {
    "do_sample": False, "max_gen_toks": ANSWER_TOKENS, "until": [], "num_beams": 1, "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
}  # fmt: skip
"""Decoding as kb's, whatever the model's own generation config says."""

PRIVATE = """\
Written by `kb bench export` from private documents. These are the held-out questions of `kb eval`: a model that was
trained on them has no figure any more. The chats are those of its closed-book arms."""
USE = {
    "lm-eval": """\
    HF_HUB_OFFLINE=1 lm_eval --model hf --model_args pretrained=MODEL,enable_thinking=False \\
        --include_path {folder} --tasks kb_held_out --apply_chat_template --batch_size 16

`peft=ADAPTER` among the model's arguments puts the adapter on. kb must be installed beside lm-eval: `kb_probes.py` asks
its scorer. `correct` is the mean over facts, as in `kb eval`; there is no standard error, because the harness has none
that knows of wordings of one fact.""",
    "inspect": """\
    cd {folder}
    HF_HUB_OFFLINE=1 inspect eval kb_probes.py -T kind=held_out \\
        --model hf/local -M model_path=MODEL -M do_sample=false -M enable_thinking=false

kb must be installed beside inspect-ai: `kb_probes.py` asks its scorer. Standard error and interval are clustered by
fact; `accuracy` is the mean over questions, which is that over facts where all have equally many wordings.""",
    "evalscope": """\
    evalscope eval --model MODEL --eval-type openai_api --api-url http://localhost:8000/v1 --api-key EMPTY \\
        --datasets general_qa --generation-config '{{"temperature": 0, "max_tokens": 96}}' \\
        --dataset-args '{{"general_qa": {{"local_path": "{folder}", "subset_list": ["held_out"]}}}}'

The server is one of the model itself, such as vLLM; `kb serve` would put kb's prompt around these chats again.
evalscope scores these answers by BLEU and ROUGE, which know nothing of numbers, units and dates: read its figures as
likeness of words, and kb's own for what is right.""",
}
"""How each harness is started on an export."""


@dataclass(frozen=True)
class Exported:
    """What was written where."""

    target: str
    folder: str
    probes: Mapping[str, int]
    """By kind."""

    def lines(self) -> list[str]:
        """For the terminal."""
        counts = [f"  {count:>6}  {kind}" for kind, count in self.probes.items()]
        return [f"probes for {self.target}:", *counts, f"written to {self.folder}; README.md there says how to run it"]


def export(store: Store, config: EvalConfig, prompts: Prompts, target: str, folder: Path) -> Exported:
    """Write the probes into `folder` for one of `USE`.

    Raises UsageError for another target or a folder that holds other files, and what `probe_rows` raises.
    """
    if target not in USE:
        raise UsageError(f"kb bench export: expected {', '.join(USE)}, got {target!r}")
    rows = probe_rows(store, config, prompts)
    texts = {"README.md": f"# Probes for {target}\n\n{PRIVATE}\n\n{USE[target].format(folder=folder.resolve())}\n"}
    texts |= TEXTS[target](rows)
    _check_free(folder, {*texts, *(f"{kind}.jsonl" for kind in rows)})
    for kind, own in rows.items():
        write_jsonl(folder / f"{kind}.jsonl", _records(target, own, prompts))
    for name, text in texts.items():
        write_text(folder / name, text)
    return Exported(target, str(folder), {kind: len(own) for kind, own in rows.items()})


def _check_free(folder: Path, names: set[str]) -> None:
    """Raise UsageError for a folder with files that this export would not replace."""
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    foreign = sorted(there - names - {"__pycache__"})
    if foreign or (folder.exists() and not folder.is_dir()):
        raise UsageError(f"{folder} holds something else ({(foreign or ['a file'])[0]}). Name another folder")


def _records(target: str, rows: Sequence[ProbeRow], prompts: Prompts) -> Iterator[dict[str, Any]]:
    for row in rows:
        if target != "evalscope":
            yield asdict(row)
            continue
        system = [{"role": "system", "content": row.system}] if row.system else []
        chat = [*system, {"role": "user", "content": row.user}]
        right = row.gold or prompts.get("kb", "refusal", row.language).text
        yield {"messages": chat, "query": row.user, "response": right, "id": row.id, "fact_id": row.fact_id}


def _lm_eval(kinds: Mapping[str, object]) -> dict[str, str]:
    """A task for each kind of probe, and the functions that all of them name."""
    texts = {f"kb_{kind}.yaml": "\n".join(_task(kind)) + "\n" for kind in kinds}
    return texts | {"kb_probes.py": (HERE / "lm_eval_task.py").read_text(encoding="utf-8")}


def _task(kind: str) -> Iterator[str]:
    yield f"task: kb_{kind}"
    yield "tag: kb_probes"
    yield "custom_dataset: !function kb_probes.probes"
    yield f"metadata: {{version: 1.0, kind: {kind}}}"
    yield "output_type: generate_until"
    yield "test_split: test"
    yield "num_fewshot: 0"
    yield "description: system"
    yield "doc_to_text: user"
    yield "doc_to_target: gold"
    # JSON is YAML.
    yield f"generation_kwargs: {json.dumps(GREEDY)}"
    yield "process_results: !function kb_probes.process_results"
    yield "metric_list:"
    for verdict in VERDICTS:
        better = str(verdict == "correct").lower()
        yield f"- {{metric: {verdict}, aggregation: !function kb_probes.fact_mean, higher_is_better: {better}}}"


def _inspect(kinds: Mapping[str, object]) -> dict[str, str]:
    del kinds
    return {"kb_probes.py": (HERE / "inspect_task.py").read_text(encoding="utf-8")}


def _evalscope(kinds: Mapping[str, object]) -> dict[str, str]:
    del kinds
    return {}


TEXTS: dict[str, Callable[[Mapping[str, object]], dict[str, str]]] = {
    "lm-eval": _lm_eval,
    "inspect": _inspect,
    "evalscope": _evalscope,
}
"""What goes beside the probes."""
