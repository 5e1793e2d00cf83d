"""What the ways of merging a QLoRA adapter cost, against the base with the adapter on.

    python benchmarks/merging.py kb-demo/.kb [--run NAME] [--probes 200] [--out FILE]

Takes a workspace in which a run was trained on a base in 4 bits, such as `kb demo` leaves. Each way writes a folder,
and plain transformers read it, as `kb export` has it checked: held-out questions without passages and with the one that
answers them, the right answers forced, and the greedy answers judged. The error of the logits is the norm of their
difference over theirs, each row less its mean, on the tokens of the right answers.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from gguf import GGMLQuantizationType
from gguf.quants import dequantize, quantize
from peft import PeftModel

from kb.finetune.export_files import write_generation, write_tokenizer
from kb.finetune.export_parity import Case, View, cases, compare, view_of_adapter, view_of_folder
from kb.finetune.export_weights import merged
from kb.llm.local import LocalLLM
from kb.llm.open import find_folder, lab_folder
from kb.llm.tuned import open_tuned
from kb.llm.weights import load_base, load_tokenizer, load_weights
from kb.prompt import open_pack
from kb.runs import find_run
from kb.workspace import Workspace, write_text

Way = Callable[[Path, Path], torch.nn.Module]


def inside(base: Path, adapter: Path) -> torch.nn.Module:
    """The adapter merged by peft into the 4-bit matrices, which are rounded to 4 bits again."""
    model: torch.nn.Module = PeftModel.from_pretrained(load_base(base, True), str(adapter)).merge_and_unload()
    return model


def original(base: Path, adapter: Path) -> torch.nn.Module:
    """The adapter merged into the base as it was before it was put into 4 bits."""
    model: torch.nn.Module = merged(base, False, adapter, torch.bfloat16)
    return model


def dequantised(dtype: torch.dtype) -> Way:
    """As `kb export` merges: the 4-bit matrices turned back, merged in fp32 and stored in `dtype`."""
    return lambda base, adapter: merged(base, True, adapter, dtype)


@torch.no_grad()
def eight_bits(base: Path, adapter: Path) -> torch.nn.Module:
    """As `kb export --gguf q8_0`: its bf16 matrices in blocks of 32 whole numbers with a scale, as llama.cpp rounds."""
    model = dequantised(torch.bfloat16)(base, adapter)
    for weight in model.parameters():
        if weight.ndim > 1:
            packed = quantize(weight.float().numpy(), GGMLQuantizationType.Q8_0)
            weight.copy_(torch.from_numpy(dequantize(packed, GGMLQuantizationType.Q8_0)))
    return model


WAYS: dict[str, Way] = {
    "inside the 4 bits": inside,
    "into the original base, bf16": original,
    "4 bits turned back, then merged, bf16 (`kb export`)": dequantised(torch.bfloat16),
    "4 bits turned back, then merged, fp32": dequantised(torch.float32),
    "the same in bf16, then 8 bits (`kb export --gguf q8_0`)": eight_bits,
}
TABLE = [
    "| merged | error of the logits | KL, nats a token | same likeliest token | probes right |", "|" + " --- |" * 5,
]  # fmt: skip


def error(adapter: View, exported: View) -> float:
    """Norm of the difference of the logits over that of the adapter's; what softmax does not see is taken off."""
    mine, its = (torch.cat([row - row.mean(-1, keepdim=True) for row in view.logs]) for view in (adapter, exported))
    return float((mine - its).norm() / mine.norm())


def rows(base: Path, adapter: Path, found: Sequence[Case], trained: View) -> list[str]:
    """A line of the table for each way."""
    lines = []
    tokenizer = load_tokenizer(base)
    for name, way in WAYS.items():
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            way(base, adapter).save_pretrained(folder)  # type: ignore[operator]
            write_tokenizer(base, tokenizer, folder)
            write_generation(base, tokenizer, folder)
            view = view_of_folder(folder, found)
        parity = compare(found, trained, view)
        lines.append(
            f"| {name} | {error(trained, view):.1%} | {parity.kl:.5f} | {parity.agreement:.1%} |"
            f" {parity.exported_right} of {parity.probes} |"
        )
        logging.info(lines[-1])
    return lines


def main() -> None:
    """Measure and print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--run", default="")
    parser.add_argument("--probes", type=int, default=200)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    store = Workspace(given.workspace).store
    run = find_run(store, given.run)
    if run is None:
        raise SystemExit(f"{given.workspace} has no training run")
    base = find_folder(run.lineage.base)
    pack = str(lab_folder() / "prompts") if run.lineage.base == "lab" else ""
    found = cases(store, open_pack(pack, run.lineage.tag), given.probes)
    tuned = open_tuned(LocalLLM(load_weights(base, True, 4096, store)), run, store)
    assert isinstance(tuned, LocalLLM)
    trained = view_of_adapter(tuned, found)
    right = compare(found, trained, trained)
    page = [
        "# What the ways of merging cost", "",
        "Made by `python benchmarks/merging.py WORKSPACE`; each way is read back by plain transformers and compared",
        f"with the base with the adapter on: {right.probes} held-out questions, with no passages and with their own,",
        f"{right.tokens} tokens of right answers. The run: base {run.lineage.base} in NF4, LoRA of rank"
        f" {run.config['rank']}, {run.metrics['sft']['steps']:.0f} steps.", "",
        *TABLE, *rows(base, run.adapter, found, trained),
        "| not merged: the base with the adapter on | 0.0% | 0.00000 | 100.0% |"
        f" {right.adapter_right} of {right.probes} |",
        "",
        "The adapter was trained on the 4-bit matrices and corrects what they get wrong, so the original base is not",
        "the one that it fits. Merged inside 4 bits, the sum is rounded to 16 levels again. What is left of the way of",
        "`kb export` is the rounding to 16 bits, and that of the scales by which bitsandbytes answers on this CPU.",
    ]  # fmt: skip
    text = "\n".join([*page, ""])
    print(text)
    if given.out:
        write_text(given.out, text)


if __name__ == "__main__":
    main()
