"""What answers others: serve."""

from __future__ import annotations

from typing import Annotated

import typer

from kb.cli.app import app
from kb.session import DEFAULT_WORKSPACE, ConfigOption, ModelOption, PromptsOption, WorkspaceOption, start
from kb.workspace import Workspace


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen at.  [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="0: any that is free.  [default: 8000]")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="Environment variable with the key to ask for.")] = None,
    engine: Annotated[str | None, typer.Option(help="local or vllm.  [default: local]")] = None,
    backend_url: Annotated[str | None, typer.Option(help="A vLLM server that runs already.")] = None,
    model: ModelOption = None,
    prompts: PromptsOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
) -> None:
    """Answer over HTTP as an OpenAI-compatible server. Its models are base, rag, tuned, tuned_rag and tuned:RUN."""
    session = start(workspace, config, False)
    from kb.serving.config import ServeConfig
    from kb.serving.run import opened

    flags = {"host": host, "port": port, "api_key_env": api_key_env, "engine": engine, "backend_url": backend_url}
    chosen, pack = session.model(model, prompts)
    place = Workspace(session.root)
    settings = session.resolve(ServeConfig, "serve", **flags)
    with opened(place, settings, chosen, pack, session.retriever(place, write=False)) as ready:
        print("\n".join(ready.lines()), flush=True)
        ready.run()
