"""The worker's handler: what it returns for an input, and what becomes of what it raises."""

from __future__ import annotations

import base64
import json
import shutil
import traceback
import uuid
from typing import Any

from lipsync_core.errors import LipsyncError
from tests.emulators.runpod.infinitetalk.films import Job, rendered
from tests.emulators.runpod.infinitetalk.media import MOUNT, NotThere

NO_VIDEO = "비디오를 찾을 수 없습니다."
"""What the worker says whenever its renderer came to nothing, whatever the reason."""

_SDK_VERSION = "1.12.0"


def answer(job: Job) -> dict[str, Any]:
    """What the handler returns for a job: ``video``, ``video_path`` or ``error``.

    Raises:
        Stopped: nobody wants the film any more.
        Exception: what the worker does not catch; see :func:`told_exception`.
    """
    try:
        film = rendered(job)
    except NotThere as error:
        return {"error": str(error)}
    except LipsyncError:
        return {"error": NO_VIDEO}
    if job.input.get("network_volume", False):
        name = f"infinitetalk_task_{uuid.uuid4()}.mp4"
        job.volume.mkdir(parents=True, exist_ok=True)
        part = job.volume / f"{name}.part"
        shutil.copyfile(film, part)
        part.replace(job.volume / name)
        return {"video_path": f"{MOUNT}/{name}"}
    return {"video": base64.b64encode(film.read_bytes()).decode()}


def told_exception(error: Exception, worker: str) -> str:
    """The JSON text that stands as ``error`` of a job whose handler raised."""
    return json.dumps(
        {
            "error_type": str(type(error)),
            "error_message": str(error),
            "error_traceback": "".join(traceback.format_exception(error)),
            "hostname": f"{worker}-host",
            "worker_id": worker,
            "runpod_version": _SDK_VERSION,
        }
    )
