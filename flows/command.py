"""Run a flow as a command: parameters from its model, one exit code, one line for each error.

Exit codes: 0 done; 1 the run failed or something needs review; 2 bad usage or input; 3 stopped by
the budget. With ``--json`` standard output holds exactly one JSON object.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from lipsync_core.errors import LipsyncError


def run_command(
    run: Callable[[Any], Any],
    model: type[BaseModel],
    *,
    positional: Sequence[str] = (),
    arguments: Sequence[str] | None = None,
) -> NoReturn:
    """Parse the command line into ``model``, run, print what came of it, and exit."""
    parser = _parser(run, model, positional)
    given = vars(parser.parse_args(arguments))
    as_json = given.pop("json")
    _quiet_logs()
    try:
        request = model.model_validate({k: v for k, v in given.items() if v is not None})
        result = run(request)
    except ValidationError as error:
        _stop(_said(error), 2)
    except LipsyncError as error:
        _stop(str(error), error.exit_code)
    except KeyboardInterrupt:
        _stop("stopped; run the same command again to go on", 130)
    if as_json:
        print(result.model_dump_json())
    else:
        print(result.as_text())
    _leave(result.exit_code)


def _stop(message: str, code: int) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    _leave(code)


def _leave(code: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(code)


def _quiet_logs() -> None:
    """Prefect's own lines only matter where something is wrong; they go to stderr."""
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    for name in ("prefect", "prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).setLevel(os.environ["PREFECT_LOGGING_LEVEL"])


def _said(error: ValidationError) -> str:
    """The first problem in the words of the command line."""
    first = error.errors()[0]
    option = "".join(f"--{str(part).replace('_', '-')} " for part in first["loc"][:1])
    message = first["msg"].removeprefix("Value error, ")
    return f"{option}{message[:1].lower() + message[1:]}"


def _parser(
    run: Callable[[Any], Any], model: type[BaseModel], positional: Sequence[str]
) -> argparse.ArgumentParser:
    module = sys.modules["__main__"]
    name = Path(getattr(module, "__file__", None) or "command").stem
    parser = argparse.ArgumentParser(
        prog=f"python -m flows.{name}", description=(module.__doc__ or "").split("\n\n")[0]
    )
    for key, info in model.model_fields.items():
        _add(parser, key, info, key in positional)
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object and nothing else"
    )
    return parser


def _add(parser: argparse.ArgumentParser, key: str, info: FieldInfo, positional: bool) -> None:
    """One field of the model as an argument; the model itself converts and checks the value."""
    plain = _without_none(info.annotation)
    told = info.description or ""
    if (
        info.default not in (None, ..., False)
        and not info.is_required()
        and info.default is not None
    ):
        shown = "" if info.default_factory else f" [{info.default}]"
        told += shown
    if positional:
        many = typing.get_origin(plain) is list
        parser.add_argument(key, nargs="+" if many else None, help=told, metavar=key.upper())
        return
    option = "--" + key.replace("_", "-")
    if plain is bool:
        parser.add_argument(option, action="store_true", default=None, help=told)
    elif typing.get_origin(plain) is typing.Literal:
        parser.add_argument(option, choices=typing.get_args(plain), help=told)
    else:
        parser.add_argument(option, help=told, metavar=_placeholder(key, plain))


def _without_none(annotation: Any) -> Any:
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        return next(a for a in typing.get_args(annotation) if a is not type(None))
    return annotation


def _placeholder(key: str, kind: Any) -> str:
    if kind is Path:
        return "DIR" if key == "out" else "FILE"
    return {float: "NUMBER", int: "COUNT"}.get(kind, "NAME")
