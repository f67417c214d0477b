"""Split: find a film's shots, and write each as a part of its own."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

from prefect import task

from lipsync_core.media.audio import lay_track, length_note
from lipsync_core.media.parts import TABLE, make_room
from lipsync_core.media.probe import probe
from lipsync_core.media.scenes import write_segments
from lipsync_core.media.split import split_film
from lipsync_core.scan import find_cuts
from lipsync_core.timeline import Cut, Segment
from tasks.steps import frames_done


@task(name="find scenes")
def find_scenes(
    video: Path, detector: Literal["adaptive", "content"], minimum_s: float
) -> list[Cut]:
    """Decode the film once and find the first frames of its shots."""
    return find_cuts(probe(video), detector=detector, minimum_s=minimum_s, on_frame=frames_done)


@task(name="split")
def split_parts(
    video: Path, segments: list[Segment], audio: Path | None, out: Path, overwrite: bool
) -> list[str]:
    """Write ``vid_NN``, ``aud_NN`` and, when they are whole, their table; say what was conformed.

    The sound is ``audio``, else the film's own, else there is none.
    """
    info = probe(video)
    notes = [*info.conformed]
    make_room(out, overwrite)
    with tempfile.TemporaryDirectory(dir=out, prefix="split-") as folder:
        track = None
        if audio is not None or info.sound is not None:
            track = lay_track(
                audio or video, Path(folder) / "sound.wav",
                frames=info.frames, frame_rate=info.frame_rate,
                start_s=info.sound.start_s if info.sound and not audio else 0.0,
            )  # fmt: skip
            note = length_note(track.given_s, info.seconds) if audio else ""
            notes += [note] if note else []
        else:
            notes.append("the film has no sound, so there are no aud_NN: --audio gives it one")
        split_film(info, segments, track, out)
    write_segments(out / TABLE, segments, info.frame_rate)
    return notes
