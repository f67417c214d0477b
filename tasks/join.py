"""Join: the finished film from the source, the rendered segments and one continuous speech."""

from __future__ import annotations

from pathlib import Path

from prefect import task

from lipsync_core.errors import StorageError, writing
from lipsync_core.media.join import join_film
from lipsync_core.media.probe import probe
from lipsync_core.stores import MediaRef, path_of, ref_of
from tasks.policy import CACHED, RETRYING, content_key, may_retry
from tasks.steps import frames_done
from tasks.values import Rendered, Speech, store_at

VERSION = 1
FINAL = "final.mp4"


@task(
    name="join",
    cache_key_fn=content_key("join", VERSION),
    retry_condition_fn=may_retry,
    **CACHED,
    **RETRYING,
)
def join(video: MediaRef, clips: list[Rendered], speech: Speech, out: str, store: str) -> MediaRef:
    """Encode the film once, to ``out``; the file is whole when it appears there."""
    keep = store_at(store)
    path = Path(out)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    join_film(
        probe(keep.path(video)),
        [rendered.clip(keep) for rendered in clips],
        speech.master.track(keep),
        path,
        on_frame=frames_done,
    )
    return ref_of(path)


def joined(
    video: MediaRef,
    clips: list[Rendered],
    speech: Speech,
    folder: Path,
    final: Path,
    store: str,
) -> MediaRef:
    """The film joined in its folder, not yet checked; or the same, published by an earlier run."""
    draft = folder / f"{Path(FINAL).stem}.unchecked.mp4"
    remembered = join(video, clips, speech, str(draft), store)
    for place in (final, draft):
        if place.is_file() and (there := ref_of(place)).sha256 == remembered.sha256:
            return there
    return join.with_options(refresh_cache=True)(video, clips, speech, str(draft), store)


def publish(checked: MediaRef, final: Path) -> MediaRef:
    """Give a film that passed its checks its name; an earlier one stood there until now.

    Raises:
        StorageError: it is not the one that was checked: another run writes there.
    """
    draft = path_of(checked)
    if draft != final.resolve():
        if not draft.is_file() or ref_of(draft).sha256 != checked.sha256:
            raise StorageError(
                f"{draft} changed since it was checked: another run writes the same film, wait "
                "for it and run the same command again"
            )
        with writing(final):
            draft.replace(final)
    return ref_of(final)
