"""Wav2Lip on a real film with weights of numbers by rule: what it paints is nonsense, where and
when it paints it is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from face_factory import mouth_region
from media_factory import ffmpeg
from synthetic_weights import synthetic_tensors
from test_bulk_real import bulk

from lipsync_core.generators.wav2lip.network import Wav2LipNetwork
from lipsync_core.material import gather
from lipsync_core.media.frames import planes_of, read_frames
from lipsync_core.media.probe import probe
from lipsync_core.timeline import SpanKind
from lipsync_core.weights.registry import checkpoint

TALK, EMPTY = 30, 20  # frames
ALL = 2 * TALK + EMPTY


def test_only_the_mouths_of_a_film_change_and_none_where_nobody_is_seen(
    real_media: Path, tmp_path: Path
) -> None:
    """Somebody speaks, for twenty frames the room is empty, somebody speaks on: one segment."""
    weights = tmp_path / "weights"
    weights.mkdir()
    torch.save(
        {"state_dict": synthetic_tensors(Wav2LipNetwork())}, weights / checkpoint("wav2lip").file
    )
    film, cuts = tmp_path / "it's a film.mp4", tmp_path / "cuts.csv"
    ffmpeg(
        "-i", real_media / "hdtf_menendez.mp4", "-i", real_media / "noface_room.mp4",
        "-filter_complex",
        f"[0:v]scale=512:512,setsar=1,split[x][y];[x]trim=end_frame={TALK}[a];"
        f"[y]trim=start_frame={TALK}:end_frame={2 * TALK},setpts=PTS-STARTPTS[c];"
        f"[1:v]fps=25,trim=end_frame={EMPTY},scale=512:512,setsar=1[b];[a][b][c]concat=n=3[v]",
        "-map", "[v]", "-an", "-c:v", "libx264", "-crf", "8", "-preset", "veryfast", "-pix_fmt",
        "yuv420p", film,
    )  # fmt: skip
    assert probe(film).frames == ALL
    cuts.write_text("first_frame,kind\n0,lipsync\n")
    ran = bulk(
        tmp_path / "out", "--video", film, "--audio", real_media / "en_eng.wav", "--cuts", cuts,
        "--generator", "wav2lip", "--options", "device=cpu", "--scorer", "landmark",
        LIPSYNC_WEIGHTS=str(weights),
    )  # fmt: skip
    [told] = ran.summary.films
    assert [(s.first_frame, s.last_frame, s.kind) for s in told.segments] == [
        (0, ALL, SpanKind.LIPSYNC)
    ]
    assert told.checks is not None
    assert told.checks.frames_equal
    assert told.checks.max_boundary_lag_ms < 1
    assert told.checks.psnr_outside_db >= 40

    faces = gather(film, tmp_path).faces().points
    finished = probe(Path(told.output))
    assert (finished.frames, finished.frame_rate) == (ALL, 25)
    frames = zip(read_frames(finished), read_frames(probe(film)), faces, strict=True)
    for number, (new, old, face) in enumerate(frames):
        away = np.abs(planes_of(new)[0].astype(int) - planes_of(old)[0])
        inside = np.zeros(away.shape, bool)
        if np.isfinite(face[0, 0]):
            inside[mouth_region(face)] = True
        assert away[~inside].mean() < 2, number
        if TALK <= number < TALK + EMPTY:
            assert not inside.any()
        else:
            assert away[inside].mean() > 10, number
