"""The command: listen, say where, and end at the first SIGTERM."""

from __future__ import annotations

from tests.emulators.listening import listen
from tests.emulators.runpod.app import made_app
from tests.emulators.runpod.settings import parsed


def main(arguments: list[str] | None = None) -> None:
    """Serve until a signal comes."""
    settings = parsed(arguments)
    listen("RunPod", settings, lambda _address: made_app(settings))


if __name__ == "__main__":
    main()
