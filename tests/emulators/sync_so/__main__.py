"""The command: listen, say where, and end at the first SIGTERM."""

from __future__ import annotations

from functools import partial

from tests.emulators.listening import listen
from tests.emulators.sync_so.app import made_app
from tests.emulators.sync_so.settings import parsed


def main(arguments: list[str] | None = None) -> None:
    """Serve until a signal comes."""
    settings = parsed(arguments)
    listen("Sync.so", settings, partial(made_app, settings))


if __name__ == "__main__":
    main()
