"""A worker of the vendor's SDK that renders with this project's Python.

Run with a Python that has ``runpod`` installed and knows nothing of this project; the environment
that attaches the SDK to an endpoint is in :func:`environment`. ``LIPSYNC_PYTHON`` names the Python
that renders, ``LIPSYNC_VOLUME`` the folder of the network volume, and ``LIPSYNC_FAST=1`` asks for
a still picture with a moving bar. Start it with ``-P``, since the names of the modules beside it
are not meant for the SDK.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[3]


def environment(base: str, endpoint: str, worker: str, key: str) -> dict[str, str]:
    """What attaches the SDK to an endpoint; ``base`` ends with ``/v2``."""
    place = f"{base}/{endpoint}"
    return {
        "RUNPOD_WEBHOOK_GET_JOB": f"{place}/job-take/$ID?gpu=x",
        "RUNPOD_WEBHOOK_POST_OUTPUT": f"{place}/job-done/$RUNPOD_POD_ID/$ID?gpu=x",
        "RUNPOD_WEBHOOK_POST_STREAM": f"{place}/job-stream/$RUNPOD_POD_ID/$ID?gpu=x",
        "RUNPOD_WEBHOOK_PING": f"{place}/ping/$RUNPOD_POD_ID",
        "RUNPOD_POD_ID": worker,
        "RUNPOD_AI_API_KEY": key,
        "RUNPOD_PING_INTERVAL": "1000",
        # the checks at its start look at the machine and at the internet
        "RUNPOD_SKIP_AUTO_SYSTEM_CHECKS": "true",
        "RUNPOD_SKIP_GPU_CHECK": "true",
    }


def handler(job: dict[str, Any]) -> dict[str, Any]:
    """What InfiniteTalk returns for a job, made by another Python."""
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder) / "job.json", Path(folder) / "answer.json"
        given.write_text(json.dumps({"id": job["id"], "input": job["input"]}), encoding="utf-8")
        command = [os.environ["LIPSYNC_PYTHON"], "-m", "tests.emulators.runpod.infinitetalk",
                   str(given), str(out)]  # fmt: skip
        if volume := os.environ.get("LIPSYNC_VOLUME"):
            command += ["--volume", volume]
        if os.environ.get("LIPSYNC_FAST") == "1":
            command.append("--fast")
        ran = subprocess.run(
            command, cwd=_ROOT, capture_output=True, text=True, errors="replace", check=False
        )
        if ran.returncode:
            raise RuntimeError(ran.stderr.strip().rpartition("\n")[2] or "the renderer failed")
        answer: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return answer


if __name__ == "__main__":
    import runpod

    runpod.serverless.start({"handler": handler})
