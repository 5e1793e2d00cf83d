"""What looks at a workspace and changes nothing, and the demo: status, show, doctor, demo."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from kb.cli.app import INCOMPLETE, app, leave
from kb.session import (
    DEFAULT_WORKSPACE,
    ConfigOption,
    JsonOption,
    ModelOption,
    WorkspaceOption,
    highlight,
    start,
)
from kb.workspace import Workspace


@app.command()
def status(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Say what is in the workspace, what failed, what comes next."""
    session = start(workspace, config, as_json)
    from kb.status import status as look

    found = look(Workspace(session.root))
    print(session.text(found, found.lines()))


@app.command()
def doctor(
    model: ModelOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look at machine, model and workspace, and name the cures."""
    session = start(workspace, config, as_json)
    from kb.doctor import as_lines, examine
    from kb.retrieval.hybrid import RetrievalConfig

    session.check()
    chosen, _ = session.model(model, None)
    found = list(examine(session.root, chosen, session.resolve(RetrievalConfig, "retrieval").embedder))
    print(session.text(found, as_lines(found)))
    leave(1 if any(finding.state == "bad" for finding in found) else 0)


@app.command()
def show(
    id: Annotated[str, typer.Argument(metavar="ID", help="Of anything, or its beginning (fct_1a2b); or a run's name.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Follow any id both ways along the thread. From document, chunk and fact to questions, pairs and answers."""
    session = start(workspace, config, as_json)
    from kb.lookup import look_up

    found = look_up(Workspace(session.root).store, id)
    print(session.text(found, found.lines(highlight())))


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where to put documents, settings and workspace.")] = Path("kb-demo"),
) -> None:
    """Run the whole loop on the bundled handbook. Ingest, generate-qa, train and eval with the lab model."""
    from kb.corpora.demo import prepare

    docs = prepare(folder)
    os.chdir(folder)
    # The demo never writes to the workspace of the user's own documents.
    os.environ.pop("KB_WORKSPACE", None)
    print(f"documents, kb.toml and workspace: {Path.cwd()}")
    for words in (["ingest", str(docs)], ["generate-qa"], ["train"], ["eval", "--compare", "rag"]):
        print(f"\n$ kb {' '.join(words)}", flush=True)
        code = app(words, standalone_mode=False) or 0
        # A passage that the model did not get right is in the output of its stage and holds up nothing.
        leave(0 if code == INCOMPLETE else code)
