"""The terminal belongs to the command; what libraries and engines have to say goes to a log."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
from pathlib import Path
from typing import TextIO

from prefect.logging.formatters import PrefectFormatter

from lipsync_core.errors import writing


def silence_logs() -> None:
    """Until there is a log, only the command itself speaks."""
    _log_to(logging.NullHandler())
    logging.raiseExceptions = False  # a log that cannot be written must not fill the terminal
    logging.captureWarnings(True)


def take_terminal(log: Path, is_verbose: bool = False) -> TextIO:
    """Send all that is written to descriptors 1 and 2 to ``log``, and all log lines, too.

    C++ libraries and child processes know nothing of Python's streams, so the descriptors are
    moved. ``sys.stderr`` goes on to the terminal, and gets the log lines, too, if ``is_verbose``.
    What comes back is the standard output as it was, for the answer of the command.

    Raises:
        StorageError: the log cannot be written.
    """
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    sys.stderr = os.fdopen(
        os.dup(2), "w", buffering=1, encoding="utf-8", errors="backslashreplace"
    )  # fmt: skip
    faulthandler.enable(sys.stderr)  # a crash inside a library is still seen
    with writing(log):
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        with log.open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
    line = "%(asctime)s %(levelname)s {} - %(message)s".format
    form = PrefectFormatter(
        line("%(name)s"), flow_run_fmt=line("flow %(flow_run_name)s"),
        task_run_fmt=line("task %(task_run_name)s"),
    )  # fmt: skip
    handlers = [logging.StreamHandler(stream) for stream in _streams(is_verbose)]
    for handler in handlers:
        handler.setFormatter(form)
    _log_to(*handlers)
    return answer


def _streams(is_verbose: bool) -> list[TextIO]:
    return [sys.stdout, sys.stderr] if is_verbose else [sys.stdout]


def _log_to(*handlers: logging.Handler) -> None:
    """Prefect's console handlers give way; those that send lines to its server stay."""
    for name in ("", "prefect._internal"):
        logging.getLogger(name).handlers = list(handlers)
