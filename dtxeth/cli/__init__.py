"""The command line: ``dtxeth``.

Results go to stdout, as tables or (``--json``) as JSON; progress and errors to stderr. Every error that
dtxeth raises on purpose is one line and an exit status of 2, or 1 when a task ended badly.
"""

from __future__ import annotations

import logging
import sys

import structlog
import typer
from rich.markup import escape

from dtxeth.cli import (
    authorization,
    challenge,
    demo,
    devnet,
    file,
    health,
    keys,
    local,
    migration,
    namespace,
    node,
    owner,
    part,
    task,
)
from dtxeth.cli.output import err
from dtxeth.errors import DtxethError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Decentralised storage and privacy-preserving machine learning on an EVM chain.",
)
app.command("health")(health.health)
for group in (
    demo,
    local,
    devnet,
    keys,
    node,
    owner,
    namespace,
    file,
    authorization,
    challenge,
    migration,
    task,
    part,
):
    app.add_typer(group.app)


def main() -> None:
    """Run the command line; the entry point of the ``dtxeth`` script."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        app(prog_name="dtxeth")
    except DtxethError as error:
        err.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        err.print("interrupted")
        sys.exit(130)
