"""Scan: one decode of the film for its cuts, faces and thumbnails."""

from __future__ import annotations

from prefect import task

from lipsync_core.material import Material, own_sound
from lipsync_core.media.probe import probe
from lipsync_core.scan import VERSION, scan_film
from lipsync_core.stores import MediaRef
from lipsync_core.sync.landmark import LandmarkScorer
from lipsync_core.sync.speaker import choose_speakers
from tasks.policy import CACHED, RETRYING, content_key, may_retry
from tasks.steps import frames_done
from tasks.values import ScannedFilm, TrackValue, store_at


@task(
    name="scan",
    cache_key_fn=content_key("scan", VERSION),
    retry_condition_fn=may_retry,
    **CACHED,
    **RETRYING,
)
def scan(video: MediaRef, detector: str, store: str) -> ScannedFilm:
    """Look at the whole film once; detect scenes, faces and who of them speaks, lay its sound."""
    keep = store_at(store)
    info = probe(keep.path(video))
    with keep.workspace() as folder:
        found = scan_film(info, folder, detector=detector, on_frame=frames_done)
        sound = own_sound(info, folder / "sound.wav")
        found, told = choose_speakers(Material(info, found, sound), LandmarkScorer(), folder)
        return ScannedFilm(
            video=video,
            frames=info.frames,
            frame_rate=str(info.frame_rate),
            cuts=tuple(cut.frame for cut in found.cuts),
            faces=keep.add(found.faces),
            thumbnails=keep.add(found.thumbnails),
            sound=None if sound is None else TrackValue.of(sound, keep.add(sound.path)),
            notes=(*info.conformed, told) if told else info.conformed,
        )
