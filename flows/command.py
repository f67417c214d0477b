"""Run a flow as a command: parameters from its model, one exit code, one line for each error.

Exit codes: 0 done; 1 the run failed or something needs review; 2 bad usage or input; 3 stopped by
the budget. With ``--json`` standard output holds exactly one JSON object.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import signal
import sys
import tempfile
import traceback
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from prefect import Flow
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from flows.server import server_for_the_run
from flows.terminal import silence_logs, take_terminal
from lipsync_core.errors import LipsyncError, in_one_line, told
from lipsync_core.jobs.ledger import JobStatus
from tasks.values import has_ledger, ledger_of

_EXITS = (
    "exit codes: 0 done, 1 failed or in need of review, 2 bad usage or input, 3 over the budget"
)


def run_command(
    run: Callable[[Any], Any],
    model: type[BaseModel],
    *,
    positional: Sequence[str] = (),
    check: Callable[[Any], Any] | None = None,
    arguments: Sequence[str] | None = None,
) -> NoReturn:
    """Parse the command line into ``model``, run, print what came of it, and exit.

    ``check`` looks at the request before anything is started, so that a slip of the pen is told
    at once; it may give back another request to run instead.
    """
    given = vars(_parser(run, model, positional).parse_args(arguments))
    as_json, is_verbose = given.pop("json"), given.pop("verbose")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop as for Ctrl-C
    silence_logs()
    log = Path(tempfile.gettempdir()) / f"lipsync-{os.getuid()}.log"
    request: Any = None
    try:
        request = model.model_validate({k: v for k, v in given.items() if v is not None})
        if check is not None:
            request = check(request) or request
        if hasattr(request, "store_root"):
            log = Path(request.store_root) / "run.log"
        answer = take_terminal(log, is_verbose)
        with server_for_the_run() if isinstance(run, Flow) else contextlib.nullcontext():
            result = run(request)
    except ValidationError as error:
        _stop(_said(error), 2)
    except LipsyncError as error:
        _stop(str(error), error.exit_code)
    except KeyboardInterrupt:
        _stop("stopped; run the same command again to go on" + _going_on(request), 130)
    except Exception as error:
        with contextlib.suppress(OSError), log.open("a", encoding="utf-8") as file:
            traceback.print_exception(error, file=file)
        _stop(f"{told(error)} (details in {log})", 1)
    print(result.model_dump_json() if as_json else result.as_text(), file=answer)
    answer.flush()
    sys.exit(result.exit_code)


def _going_on(request: Any) -> str:
    """What is said of jobs elsewhere that a stop here does not end."""
    store = getattr(request, "store_root", None)
    if store is None or not has_ledger(store):
        return ""
    with contextlib.suppress(LipsyncError), ledger_of(store) as ledger:
        if under_way := len(ledger.entries([JobStatus.SUBMITTED])):
            jobs = "1 paid job goes on" if under_way == 1 else f"{under_way} paid jobs go on"
            return (
                f" ({jobs} elsewhere and will be taken up then; python -m flows.jobs cancel KEY "
                f"--store {shlex.quote(store)} calls one off)"
            )
    return ""


def command_line(name: str, request: BaseModel) -> str:
    """The command that makes this request again."""
    words = ["python", "-m", f"flows.{name}"]
    for key, value in request.model_dump(mode="json", exclude_defaults=True).items():
        option = "--" + key.replace("_", "-")
        words += [option] if value is True else [option, str(value)]
    return shlex.join(words)


def _stop(message: str, code: int) -> NoReturn:
    print(f"error: {message}", file=sys.stderr, flush=True)
    sys.exit(code)


def _said(error: ValidationError) -> str:
    """The first problem in the words of the command line."""
    field = next(iter(error.errors()[0]["loc"]), None)
    said = in_one_line(error)
    if field is None:
        return said
    return f"--{str(field).replace('_', '-')} {said.removeprefix(f'{field} ')}"


class _Parser(argparse.ArgumentParser):
    """Tells a mistake in one line, as every other error is told."""

    def error(self, message: str) -> NoReturn:
        _stop(f"{message} (--help lists the options)", 2)


def _parser(
    run: Callable[[Any], Any], model: type[BaseModel], positional: Sequence[str]
) -> argparse.ArgumentParser:
    module = sys.modules["__main__"]
    name = Path(getattr(module, "__file__", None) or "command").stem
    parser = _Parser(
        prog=f"python -m flows.{name}", usage=f"python -m flows.{name} [options]",
        description=module.__doc__, epilog=_EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    for key, info in model.model_fields.items():
        _add(parser, key, info, key in positional)
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object and nothing else"
    )
    parser.add_argument("--verbose", action="store_true", help="tell what is logged on the way")
    return parser


def _add(parser: argparse.ArgumentParser, key: str, info: FieldInfo, positional: bool) -> None:
    """One field of the model as an argument; the model itself converts and checks the value."""
    plain = _without_none(info.annotation)
    help_text = (info.description or "").replace("%", "%%")
    if (
        not info.is_required()
        and info.default_factory is None
        and info.default not in (None, False)
    ):
        help_text += f" [{info.default}]"
    if positional:
        many = typing.get_origin(plain) is list
        nargs = "+" if many else None if info.is_required() else "?"
        choices = typing.get_args(plain) if typing.get_origin(plain) is typing.Literal else None
        name = None if choices else key.upper()
        parser.add_argument(key, nargs=nargs, help=help_text, metavar=name, choices=choices)
        return
    option = "--" + key.replace("_", "-")
    if plain is bool:
        parser.add_argument(option, action="store_true", default=None, help=help_text)
    elif typing.get_origin(plain) is typing.Literal:
        parser.add_argument(option, choices=typing.get_args(plain), help=help_text)
    else:
        parser.add_argument(option, help=help_text, metavar=_placeholder(info, plain))


def _without_none(annotation: Any) -> Any:
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        return next(a for a in typing.get_args(annotation) if a is not type(None))
    return annotation


def _placeholder(info: FieldInfo, kind: Any) -> str:
    if kind is Path:
        return "DIR" if "folder" in (info.description or "").split()[:3] else "FILE"
    return {float: "NUMBER", int: "COUNT"}.get(kind, "NAME")
