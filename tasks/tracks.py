"""Score the face tracks of a film against a sound, without rendering anything."""

from __future__ import annotations

import tempfile
from pathlib import Path

from prefect import task

from lipsync_core.errors import InputError
from lipsync_core.material import Material, own_sound
from lipsync_core.media.audio import ANALYSIS_RATE, lay_track
from lipsync_core.media.probe import probe
from lipsync_core.scan import scan_film
from lipsync_core.sync import load_scorer
from lipsync_core.sync.tracks import FilmScore, score_tracks
from tasks.steps import frames_done


@task(name="score face tracks", task_run_name="score {video.name}")
def score_faces(video: Path, audio: Path | None, scorer: str) -> FilmScore:
    """Find the faces of a film and score each with ``audio``, or with the film's own sound.

    Raises:
        InputError: there is no sound to score it with.
    """
    info, judge = probe(video), load_scorer(scorer)
    with tempfile.TemporaryDirectory(prefix="verify-") as name:
        folder = Path(name)
        if audio is None:
            sound = own_sound(info, folder / "sound.wav")
        else:
            sound = lay_track(
                audio, folder / "sound.wav", frames=info.frames, frame_rate=info.frame_rate,
                sample_rate=ANALYSIS_RATE, mono=True,
            )  # fmt: skip
        if sound is None:
            raise InputError(f"{video} has no sound: give the speech with --audio")
        scan = scan_film(info, folder, on_frame=frames_done)
        return score_tracks(Material(info, scan, None), sound, judge)
