"""The main job as a script calls it: in this process, which has everything loaded already.

A command takes seconds to start; what is asked about streams, signals and exit codes needs one and
finds it in :mod:`real_command`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import pytest
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_HOME,
    temporary_settings,
)
from prefect_server import PrefectServer
from real_command import Ran

from flows.bulk import bulk
from flows.command import run_command
from flows.request import BulkRequest
from flows.resubmit import ResubmitRequest, resubmit
from lipsync_core.demo.film import DemoFilm
from lipsync_core.errors import LipsyncError
from lipsync_core.report.summary import RunSummary

R, T = TypeVar("R"), TypeVar("T")

# At its end a flow waits for the thread of its heartbeat, which looks up once a second. Nobody
# listens to it here; it beats wherever a test runs a command at a server.
NO_HEARTBEAT = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}


@dataclass(frozen=True)
class Here:
    """The main job at a server, with more in the environment than there is."""

    server: PrefectServer
    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    def given(self, **environment: str) -> Here:
        """The same with more in the environment."""
        return Here(self.server, self.home, self.environment | environment)

    def __call__(self, **fields: Any) -> Ran:
        """Run to the end with these fields of the request."""
        return self._ran(lambda: bulk(BulkRequest.model_validate(fields).checked()))

    def know(self, film: DemoFilm, out: Path) -> None:
        """Have the film scanned and its speech laid in the store of ``out``, as by a run before."""
        scanned = self.home / film.video.stem
        if not scanned.exists():
            self(video=film.video, audio=film.speech, out=scanned, dry_run=True)
        if not (out / ".lipsync").exists():
            shutil.copytree(scanned / ".lipsync", out / ".lipsync")

    def resubmit(self, run_dir: Path) -> Ran:
        """Order again what failed in an earlier run."""
        return self._ran(lambda: resubmit(ResubmitRequest(run_dir=run_dir).as_before()))

    def run(self, flow: Callable[[R], T], request: R) -> T:
        """What another of the flows makes of its request."""
        with self._in_place():
            return flow(request)

    def refuses(self, *words: str | Path) -> int:
        """The exit code of the command for words that it refuses before anything is started.

        What belongs to a process, its signals, logs and descriptors, stays as it is.
        """
        own = {"signal": mock.DEFAULT, "silence_logs": mock.DEFAULT, "take_terminal": _begun}
        arguments = list(map(str, words))
        with (
            self._in_place(),
            mock.patch.multiple("flows.command", **own),
            pytest.raises(SystemExit) as ended,
        ):
            run_command(bulk, BulkRequest, check=BulkRequest.checked, arguments=arguments)
        return int(ended.value.code or 0)

    @contextmanager
    def _in_place(self) -> Iterator[None]:
        settings = {PREFECT_API_URL: self.server.api, PREFECT_HOME: self.home} | NO_HEARTBEAT
        with temporary_settings(settings), mock.patch.dict(os.environ, self.environment):
            yield

    def _ran(self, work: Any) -> Ran:
        with self._in_place():
            try:
                result: RunSummary = work()
            except LipsyncError as error:
                return Ran(error.exit_code, "", str(error))
        return Ran(result.exit_code, result.model_dump_json(), "")


def _begun(*_: Any) -> None:
    raise AssertionError("the command was not refused and began")
