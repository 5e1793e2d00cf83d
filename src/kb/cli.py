"""The command line: a command parses, calls one function, and prints what it did and what comes next."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kb import __version__
from kb.errors import KBError, UsageError
from kb.session import (
    DEFAULT_WORKSPACE,
    ConfigOption,
    JsonOption,
    ModelOption,
    PromptsOption,
    Session,
    WorkspaceOption,
    counted,
    highlight,
    lines_of,
    misuse,
    start,
    trouble,
)
from kb.workspace import Workspace

if TYPE_CHECKING:
    from kb.ingest.config import IngestConfig

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip

INCOMPLETE = 4
INTERRUPTED = 130
STOPPED = "stopped; what is done is kept, the same command again goes on from there"


def leave(code: int) -> None:
    """End with an exit code other than 0."""
    if code:
        raise typer.Exit(code)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"kb {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Turn private documents into a model that knows them, and prove what the model kept."""


@app.command()
def ingest(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="Files and folders: PDF, DOCX, PPTX, XLSX, EPUB, HTML, CSV, TXT, MD."),
    ],
    encoding: Annotated[
        str | None, typer.Option(help="Encoding of text files, when kb guesses wrong; kb remembers it.")
    ] = None,
    password: Annotated[list[str] | None, typer.Option(help="For PDF files that need one; may be repeated.")] = None,
    password_file: Annotated[
        Path | None, typer.Option(help="File of passwords, one a line: unlike flags, no other user can see them.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(help="Processes that read files; -1: one a core, the default.")] = None,
    shard: Annotated[
        str | None, typer.Option(help="2/8: only the second of eight parts; later: kb ingest merge WORKSPACE...")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Then wait, and run again whenever files change.")] = False,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read documents, cut them into chunks, index them. Unchanged files cost nothing.

    kb ingest merge WORKSPACE... puts together what shards have read.
    """
    session = start(workspace, config, as_json)
    if paths[0] == Path("merge") and not paths[0].exists():
        return leave(_merge(session, paths[1:]))
    from kb.ingest.config import IngestConfig
    from kb.ingest.files import changes
    from kb.ingest.plan import plan
    from kb.retrieval.dense import find_embedder
    from kb.retrieval.hybrid import RetrievalConfig
    from kb.retrieval.rerank import find_reranker

    missing = [path for path in paths if not path.exists()]
    if missing and not (workspace.expanduser() / "kb.db").exists():
        raise UsageError(f"{missing[0]}: no such file or folder")
    settings = session.resolve(IngestConfig, "ingest", encoding=encoding, jobs=jobs, shard=shard)
    if dry_run:
        with session.reading() as place:
            planned = plan(paths, settings, place)
        print(session.text(planned, planned.lines()))
        return leave(INCOMPLETE if planned.failed else 0)
    # An embedder that is not there comes to light before hours of reading, not after.
    wanted = session.settings.resolve(RetrievalConfig, "retrieval")[0]
    find_embedder(wanted.embedder)
    find_reranker(wanted.reranker)
    secrets = [*(password or []), *lines_of(password_file)]
    code = _ingest(session, paths, settings, secrets)
    if watch:
        print("watching; Ctrl-C ends", file=sys.stderr)
        for _ in changes(paths, session.root, settings.recursive):
            code = _ingest(session, paths, settings, secrets)
    leave(code)


def _ingest(session: Session, paths: list[Path], settings: IngestConfig, passwords: list[str]) -> int:
    """One run of `kb ingest`; the exit code."""
    from kb.ingest.run import run

    with session.writing(create=True) as place:
        report = run(paths, settings, place, passwords=passwords)
        searching = session.retriever(place).description
    lines = [*report.lines(), *(["mend or remove what failed, then the same command again"] if report.failed else [])]
    lines += [f"search: {searching}", "next: kb generate-qa"] if report.chunks else ["next: kb ingest PATH"]
    print(session.text(report, lines), flush=True)
    return INCOMPLETE if report.failed else 0


def _merge(session: Session, sources: list[Path]) -> int:
    """`kb ingest merge`; the exit code."""
    from kb.ingest.merge import merge

    if not sources:
        raise UsageError("kb ingest merge: name the workspaces to take documents from")
    with session.writing(create=True) as place:
        report = merge(sources, place)
        searching = session.retriever(place).description
    print(session.text(report, [*report.lines(), f"search: {searching}", "next: kb generate-qa"]))
    return INCOMPLETE if report.failed else 0


@app.command("generate-qa")
def generate_qa(
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="DOC", help="Ask about this document only: path, file name or id; may be repeated."),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask only what failed, and what follows from it.")
    ] = False,
    strengthen: Annotated[
        bool, typer.Option("--strengthen", help="More training questions for what the last run never answers right.")
    ] = False,
    limit: Annotated[int | None, typer.Option(help="Make the set of this many chunks only.")] = None,
    dose: Annotated[
        int | None, typer.Option(metavar="5|10|40", help="Tell every fact so often, in questions and prose.")
    ] = None,
    model: ModelOption = None,
    prompts: PromptsOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write questions and answers with a local model. Facts, training questions, held-out probes, negatives and
    preference pairs, checked against retrieved passages.
    """
    session = start(workspace, config, as_json)
    from kb.llm import open_model
    from kb.qa_gen.config import GenerateConfig
    from kb.qa_gen.run import run
    from kb.qa_gen.selection import Choice

    chosen, pack = session.model(model, prompts)
    other = session.prober()
    choice = Choice(tuple(only or ()), retry_failed, strengthen)
    with session.writing() as place:
        settings = session.resolve(GenerateConfig, "generate", limit=limit, dose=dose)
        # A misspelt document comes to light before a model is loaded.
        choice.documents(place.store)
        writer, prober = open_model(chosen, place.store), open_model(other, place.store) if other else None
        report = run(place, settings, writer, pack, session.retriever(place), choice, prober)
    lines = [
        *report.lines(), *counted(report.rejected, "rejected"), *counted(report.notes, "mended"),
        *counted(report.failed, "failed (see failed.jsonl; run the same command again to retry)"),
        f"datasets: {place.datasets}", "next: kb qa-report, then kb train",
    ]  # fmt: skip
    print(session.text(report, lines))
    leave(0 if report.complete else INCOMPLETE)


@app.command("qa-report")
def qa_report(
    judge: Annotated[int, typer.Option(min=0, help="Have the model judge so many facts.")] = 0,
    model: ModelOption = None,
    prompts: PromptsOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what the set is worth. Coverage of the documents, mix, leakage and, judged by the model, faithfulness."""
    session = start(workspace, config, as_json)
    from kb.qa_gen.meaning import Meaning
    from kb.qa_gen.report import judged, run
    from kb.retrieval.dense import open_embedder
    from kb.retrieval.hybrid import RetrievalConfig

    with session.writing() as place:
        embedder = open_embedder(session.resolve(RetrievalConfig, "retrieval").embedder, place.store)
        report = run(place, Meaning(embedder, place.store))
        if judge:
            from kb.corpora.judging import known_cases
            from kb.llm import open_model

            chosen, pack = session.model(model, prompts)
            report = judged(place, report, open_model(chosen, place.store), pack, judge, known_cases())
    print(session.text(report.json(), report.lines()))


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


@app.command()
def train(
    name: Annotated[str | None, typer.Option(help="Name of the run.")] = None,
    model: ModelOption = None,
    prompts: PromptsOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a QLoRA adapter on the QA pairs. SFT first, then DPO on the model's own checked answers."""
    session = start(workspace, config, as_json)
    from kb.finetune.config import TrainConfig
    from kb.finetune.run import run

    chosen, pack = session.model(model, prompts)
    with session.writing() as place:
        report = run(place, session.resolve(TrainConfig, "train", name=name), chosen, pack, session.retriever(place))
    print(session.text(report, [*report.lines(), "next: kb eval --compare rag"]))


@app.command("eval")
def evaluate(
    compare: Annotated[str | None, typer.Option(help="What to set the tuned model against: rag or none.")] = None,
    limit: Annotated[int | None, typer.Option(help="Probe this many facts only.")] = None,
    run_name: Annotated[str | None, typer.Option("--run", help="Training run.  [default: the last one]")] = None,
    model: ModelOption = None,
    prompts: PromptsOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask base, RAG, tuned and tuned+RAG the same questions. Held-out wordings of every fact, scored; the report says
    what was kept and what was lost, with intervals.
    """
    session = start(workspace, config, as_json)
    from kb.evaluate.run import EvalConfig, run

    chosen, pack = session.model(model, prompts)
    with session.writing() as place:
        settings = session.resolve(EvalConfig, "eval", compare=compare, limit=limit, run=run_name)
        done = run(place, settings, chosen, pack, session.retriever(place))
    print(session.text(done.json(), done.lines()))
    leave(done.exit_code)


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
def chat(
    question: Annotated[
        str | None, typer.Argument(metavar="[QUESTION]", help="One question; without it, a dialogue.")
    ] = None,
    arm: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ARM", help="base, rag, tuned or tuned_rag; repeat to compare.  [default: the best there is]"
        ),
    ] = None,
    model: ModelOption = None,
    prompts: PromptsOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask base, RAG, tuned or tuned+RAG side by side, with sources."""
    session = start(workspace, config, as_json)
    from kb.chat import Chat, typed, usual_arms

    chosen, pack = session.model(model, prompts)
    place = Workspace(session.root)
    talk = Chat(
        place.store, chosen, pack, session.retriever(place, write=False), arm or usual_arms(place.store, chosen)
    )
    replies = []
    for reply in (reply for asked in ([question] if question else typed(sys.stdin)) for reply in talk.ask(asked)):
        replies.append(reply)
        if not as_json:
            print("\n".join(reply.lines()), flush=True)
    if as_json:
        print(session.text(replies, ()))
    leave(1 if any(reply.error and not reply.text for reply in replies) else 0)


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="A question or some words.")],
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Chunks to show.")] = 5,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find chunks for a query, with the rank that each ranker gives them."""
    session = start(workspace, config, as_json)
    from kb.search import report, search

    place = Workspace(session.root)
    found = search(place.store, session.retriever(place, write=False), query, count)
    print(session.text(found, report(found, query)))


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


def main() -> None:
    """The `kb` command: errors a user can act on are one line and an exit code, not a traceback."""
    try:
        code = app(standalone_mode=False) or 0
        sys.stdout.flush()
        if code == INTERRUPTED:
            code = _fail(STOPPED, code, "")
    except KBError as error:
        code = _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        code = _fail(STOPPED, INTERRUPTED, "")
    except BrokenPipeError:
        # Whoever read the output, such as `head`, has had enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        # Anything unforeseen is a bug and keeps its traceback.
        if hasattr(error, "format_message"):
            code = _fail(misuse(error), 2, "" if type(error).__name__ == "NoArgsIsHelpError" else "error: ")
        else:
            code = _fail(trouble(error) or f"{type(error).__name__}: {error}", 1)
            if not trouble(error):
                raise
    sys.exit(code)


def _fail(message: str, code: int, prefix: str = "error: ") -> int:
    """Say what is wrong on stderr; under --json also as the one document on stdout."""
    print(f"{prefix}{message}", file=sys.stderr)
    if "--json" in sys.argv:
        print(json.dumps({"error": message, "exit_code": code}, ensure_ascii=False))
    return code
