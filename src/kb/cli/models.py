"""From a training set to a model that can be used: train, export."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kb.cli.app import INCOMPLETE, app, leave
from kb.errors import GateFailed, UsageError
from kb.session import (
    DEFAULT_WORKSPACE,
    ConfigOption,
    JsonOption,
    ModelOption,
    PromptsOption,
    Session,
    WorkspaceOption,
    highlight,
    start,
)
from kb.workspace import Workspace

if TYPE_CHECKING:
    from kb.finetune.config import TrainConfig
    from kb.llm.base import ModelConfig
    from kb.prompt import Prompts


@app.command()
def train(
    name: Annotated[str | None, typer.Option(help="Name of the run.")] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say steps, memory and time of the run, and do nothing.")
    ] = False,
    gpu: Annotated[str, typer.Option(help="With --plan: for another card (3090, 4090, a100-80, ...).")] = "",
    preview: Annotated[bool, typer.Option("--preview", help="Show what is trained of which rows; do nothing.")] = False,
    rows: Annotated[int, typer.Option(help="With --preview: rows of each kind and language.", min=0)] = 1,
    model: ModelOption = None,
    prompts: PromptsOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train on the QA pairs. QLoRA SFT, then DPO on the model's own checked answers, unless [train] says otherwise."""
    from kb.finetune.processes import first, follow

    if not first():
        return None if plan or preview else follow()
    session = start(workspace, config, as_json)
    from kb.finetune.config import TrainConfig
    from kb.finetune.run import run

    if gpu and not plan:
        raise UsageError("--gpu goes with --plan: kb trains on the card that is here")
    chosen, pack = session.model(model, prompts)
    settings = session.resolve(TrainConfig, "train", name=name)
    if plan:
        return _plan(session, settings, chosen, pack, gpu)
    if preview:
        return _preview(session, settings, chosen, pack, rows)
    with session.writing() as place:
        report = run(place, settings, chosen, pack, session.retriever(place))
    print(session.text(report, [*report.lines(), "next: kb eval --compare rag"]))


def _plan(session: Session, settings: TrainConfig, model: ModelConfig, prompts: Prompts, gpu: str) -> None:
    """What a training would do, on the device that is here or on a card that is named."""
    from kb.finetune.cards import named_card
    from kb.finetune.plan import planned

    card = named_card(gpu) if gpu else None
    session.check()
    place = Workspace(session.root)
    made = planned(place, settings, model, prompts, session.retriever(place, write=False), card)
    print(session.text(made.document(), made.report()))


def _preview(session: Session, settings: TrainConfig, model: ModelConfig, prompts: Prompts, rows: int) -> None:
    """The rows of a training; the exit code says whether some are too long."""
    from kb.finetune.preview import previewed

    session.check()
    place = Workspace(session.root)
    made = previewed(place, settings, model, prompts, session.retriever(place, write=False), rows)
    print(session.text(made, made.lines(highlight())))
    leave(GateFailed.exit_code if made.over else 0)


@app.command()
def export(
    formats: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Training rows for another trainer instead of the model: alpaca, sharegpt, messages, datasets, trl,"
            " deepspeed, llama-factory, ms-swift, firefly, unsloth; or all. May be repeated.",
        ),
    ] = None,
    run_name: Annotated[str | None, typer.Option("--run", help="Training run.  [default: the last one]")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the model, or for a folder of each NAME.  [default: in .kb/exports]")
    ] = None,
    dtype: Annotated[str | None, typer.Option(help="Of the model's weights: bf16, fp16 or fp32.")] = None,
    gguf: Annotated[
        str | None, typer.Option(metavar="TYPE", help="Also a GGUF file by llama.cpp: f16, q8_0, bf16 or f32.")
    ] = None,
    llama_cpp: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder of llama.cpp.  [default: $LLAMA_CPP, or on PATH]")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Make the model anew, in place of an earlier export.")] = False,
    validation: Annotated[
        float, typer.Option(help="Rows: share of the chunks to put into a split of their own.")
    ] = 0.0,
    model: ModelOption = None,
    prompts: PromptsOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the trained model for other programs, checked to be the one that was trained; or, with --to, the training
    rows for other trainers, asked as `kb train` asks them and without any held-out question.
    """
    session = start(workspace, config, as_json)
    if formats:
        raise UsageError(f"formats are named with --to: kb export {' '.join(f'--to {name}' for name in formats)}")
    if to and (run_name or dtype or gguf or llama_cpp or force or model):
        raise UsageError(
            "--to writes rows, whatever model is trained on them: leave out what is for the model's export"
        )
    if validation and not to:
        raise UsageError("--validation is for rows: name a trainer with --to")
    if to:
        return _rows(session, to, out, prompts, validation)
    from kb.finetune.export import run
    from kb.finetune.export_config import ExportConfig

    chosen, pack = session.model(model, prompts)
    with session.writing() as place:
        settings = session.resolve(
            ExportConfig, "export", run=run_name, out=str(out) if out else None, dtype=dtype, gguf=gguf,
            llama_cpp=llama_cpp,
        )  # fmt: skip
        report = run(place, settings, chosen, pack, force)
    print(session.text(report, report.lines()))
    leave(INCOMPLETE if report.problems else 0)


def _rows(session: Session, names: list[str], out: Path | None, prompts: str | None, validation: float) -> None:
    """`kb export --to`."""
    from kb.finetune.batches import UNPLANNED, fitting_micro_batch
    from kb.finetune.config import TrainConfig
    from kb.qa_gen.recipe import Training, recipe
    from kb.qa_gen.trainers import run

    place = Workspace(session.root)
    chosen, pack = session.model(None, prompts)
    train = session.resolve(TrainConfig, "train")
    settings = {field.name: getattr(train, field.name) for field in fields(Training)}
    settings["micro_batch"] = fitting_micro_batch(train.batch_size, train.micro_batch or UNPLANNED)
    settings["gradient_checkpointing"] = train.gradient_checkpointing is not False
    report = run(place, names, out or place.exports, pack, validation, recipe(chosen, Training(**settings)))
    print(session.text(report, report.lines()))
