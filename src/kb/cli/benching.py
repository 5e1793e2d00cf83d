"""Other people's harnesses: bench import, list, run and export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kb.cli.app import app
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

bench = typer.Typer(
    no_args_is_help=True, help="General ability by public benchmarks, before and after; probes for other harnesses."
)
app.add_typer(bench, name="bench")


@bench.command("export")
def exported(
    target: Annotated[str, typer.Argument(metavar="HARNESS", help="lm-eval, inspect or evalscope.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write it.")],
    limit: Annotated[int | None, typer.Option(help="Probe this many facts only.")] = None,
    run_name: Annotated[str | None, typer.Option("--run", help="Training run.  [default: the one in use]")] = None,
    model: ModelOption = None,
    prompts: PromptsOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the probes as a task of another harness. The chats are those of the closed-book arms of kb eval."""
    session = start(workspace, config, as_json)
    from kb.evaluate.bench.export import export
    from kb.evaluate.run import EvalConfig

    _, pack = session.model(model, prompts)
    settings = session.resolve(EvalConfig, "eval", limit=limit, run=run_name)
    done = export(Workspace(session.root).store, settings, pack, target, folder)
    print(session.text(done, done.lines()))
