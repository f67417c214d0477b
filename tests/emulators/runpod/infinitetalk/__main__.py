"""Render one job in a process of its own: its JSON in, what the handler returns out."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from tests.emulators.runpod.infinitetalk.films import Job, seed_of
from tests.emulators.runpod.infinitetalk.handler import answer


def main() -> None:
    """Read ``{"id", "input"}`` and write what the handler returns for it."""
    parser = argparse.ArgumentParser(prog="python -m tests.emulators.runpod.infinitetalk")
    parser.add_argument("job", type=Path, help="JSON file with id and input")
    parser.add_argument("out", type=Path, help="where the answer goes")
    parser.add_argument("--volume", type=Path, help="the network volume; without it an empty one")
    parser.add_argument("--fast", action="store_true", help="a still picture and a moving bar")
    chosen = parser.parse_args()
    given = json.loads(chosen.job.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        volume = chosen.volume or Path(folder) / "volume"
        job = Job(
            given["input"], Path(folder), volume, seed=seed_of(given["id"]), is_fast=chosen.fast
        )
        chosen.out.write_text(json.dumps(answer(job)), encoding="utf-8")


if __name__ == "__main__":
    main()
