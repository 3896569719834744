"""Structured logs of daemons: a line each on stderr, for people or as JSON."""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any

import structlog


def configure(form: str, level: str) -> None:
    """Send logs to stderr.

    Args:
        form: ``console`` or ``json``.
        level: The least that is logged: ``debug``, ``info``, ``warning`` or ``error``.
    """
    json = form == "json"
    # Not rich's tracebacks: these show local variables, and so keys and data.
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([structlog.processors.format_exc_info] if json else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    threading.excepthook = _log_uncaught


def _log_uncaught(crash: threading.ExceptHookArgs) -> None:
    thread = crash.thread.name if crash.thread else "?"
    structlog.get_logger(__name__).error(
        "a thread ended by a mistake", thread=thread, exc_info=crash.exc_value
    )
