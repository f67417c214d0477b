"""Still: one picture as a film, framed and looked at, for somebody in it to speak."""

from __future__ import annotations

import hashlib

from prefect import task

from lipsync_core.media.picture import read_picture
from lipsync_core.still_film import FRAME_RATE, Framing, framed, write_still_film
from lipsync_core.stores import MediaRef
from tasks.policy import CACHED, RETRYING, content_key, may_retry
from tasks.values import ScannedFilm, Still, store_at

VERSION = 1


@task(
    name="still",
    cache_key_fn=content_key("still", VERSION),
    retry_condition_fn=may_retry,
    **CACHED,
    **RETRYING,
)
def still_of(
    image: MediaRef, called: str, frames: int, framing: Framing, store: str
) -> ScannedFilm:
    """Read the picture, find who is to speak, and make the film of so many frames."""
    keep = store_at(store)
    made = framed(read_picture(keep.path(image)), framing, called)
    chosen = f"{VERSION} {image.sha256} {made.how}"
    with keep.workspace() as folder:
        film = write_still_film(made.rgb, made.face, frames, folder)
        return ScannedFilm(
            video=keep.add(film.film), frames=frames, frame_rate=str(FRAME_RATE), cuts=(),
            faces=keep.add(film.faces), thumbnails=keep.add(film.thumbnails), sound=None,
            notes=made.notes,
            still=Still(
                image=keep.add(film.image), made_of=hashlib.sha256(chosen.encode()).hexdigest()
            ),
        )  # fmt: skip
