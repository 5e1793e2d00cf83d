"""From a training set to a model that can be used: train, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kb.cli.app import app
from kb.errors import UsageError
from kb.session import (
    DEFAULT_WORKSPACE,
    ConfigOption,
    JsonOption,
    ModelOption,
    PromptsOption,
    WorkspaceOption,
    start,
)
from kb.workspace import Workspace


@app.command()
def train(
    name: Annotated[str | None, typer.Option(help="Name of the run.")] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what would be done, its memory and time; do nothing.")
    ] = False,
    gpu: Annotated[
        str, typer.Option(help="With --plan: for this card (3090, 4090, a100-80, ...), not the one here.")
    ] = "",
    model: ModelOption = None,
    prompts: PromptsOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a QLoRA adapter on the QA pairs. SFT first, then DPO on the model's own checked answers."""
    session = start(workspace, config, as_json)
    from kb.finetune.cards import named_card
    from kb.finetune.config import TrainConfig
    from kb.finetune.run import planned, run

    chosen, pack = session.model(model, prompts)
    settings = session.resolve(TrainConfig, "train", name=name)
    if gpu and not plan:
        raise UsageError("--gpu goes with --plan: kb trains on the card that is here")
    if plan:
        card = named_card(gpu) if gpu else None
        session.check()
        place = Workspace(session.root)
        made = planned(place, settings, chosen, pack, session.retriever(place, write=False), card)
        return print(session.text(made.document(), made.report()))
    with session.writing() as place:
        report = run(place, settings, chosen, pack, session.retriever(place))
    print(session.text(report, [*report.lines(), "next: kb eval --compare rag"]))


@app.command()
def export(
    formats: Annotated[
        list[str],
        typer.Argument(
            metavar="FORMAT...",
            help="alpaca, sharegpt, messages, datasets, trl, llama-factory, ms-swift, firefly, unsloth; or all.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder for a folder of each format.  [default: .kb/exports]")
    ] = None,
    validation: Annotated[float, typer.Option(help="Share of the chunks to put into a split of their own.")] = 0.0,
    prompts: PromptsOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the training rows for other trainers. Each row asks as `kb train` asks; no held-out question is in them."""
    session = start(workspace, config, as_json)
    from kb.qa_gen.trainers import run

    place = Workspace(session.root)
    report = run(place, formats, out or place.exports, session.model(None, prompts)[1], validation)
    print(session.text(report, report.lines()))
