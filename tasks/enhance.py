"""Enhance: a finish over the mouth of a rendered segment."""

from __future__ import annotations

import time
from typing import Any

from prefect import task
from prefect.context import TaskRunContext

from lipsync_core.finish import MATCH, load_finish
from lipsync_core.finish.match import Match
from lipsync_core.finish.model import given_model
from lipsync_core.finish.restore import Restore
from lipsync_core.stores import ref_of
from tasks.policy import CACHED, content_key
from tasks.values import Rendered, SegmentJob, store_at

VERSION = 1
_key = content_key("enhance", VERSION)


def _by_content(context: TaskRunContext, parameters: dict[str, Any]) -> str:
    """The key of a finish by a model is made of the model's bytes and not of its name."""
    how: Any = [Match.name, Match.version]
    if parameters["how"] != MATCH:
        given = given_model(parameters["how"])
        file = ref_of(given.path)
        how = [Restore.name, Restore.version, file, given.least, given.most, given.device]
    return _key(context, parameters | {"how": how})


@task(
    name="enhance",
    task_run_name="enhance {job.first_frame}-{job.last_frame}",
    cache_key_fn=_by_content,
    **CACHED,
)
def enhance(job: SegmentJob, rendered: Rendered, how: str, store: str) -> Rendered:
    """Put the finish ``how`` over a rendering; see :func:`lipsync_core.finish.load_finish`."""
    keep = store_at(store)
    started = time.monotonic()
    with keep.workspace() as folder:
        finish = load_finish(how)
        clip = finish.finished(rendered.clip(keep), job.material(keep), folder / "clip.mkv")
        file = keep.add(clip.path)
    seconds = round(rendered.seconds + time.monotonic() - started, 2)
    return rendered.model_copy(update={"file": file, "seconds": seconds})
