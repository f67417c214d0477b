"""One film, from source to finished film: the table of contents of the job."""

from __future__ import annotations

from prefect import flow

from flows.dub import FilmOutcome, dubbed
from flows.progress import progress
from flows.request import BulkRequest
from lipsync_core.errors import InputError
from lipsync_core.jobs.budget import Purse
from lipsync_core.jobs.manifest import Source
from lipsync_core.media.probe import probe
from tasks.fetch import at_hand
from tasks.plan import plan
from tasks.prepare import prepare
from tasks.scan import scan
from tasks.speech import lay_speech
from tasks.values import store_at


@flow(name="film", flow_run_name="{name}", persist_result=False)
def dub_film(
    name: str, video: Source, audio: Source, request: BulkRequest, purse: Purse
) -> FilmOutcome:
    """Fetch, probe, scan and plan one film; then quote, render, verify, join and check it."""
    store = request.store_root
    prepare(request.folder_of(name), store)
    source, sound = at_hand(video, store), at_hand(audio, store)
    info = probe(store_at(store).path(source))
    if objection := request.engine.objection(info.width, info.height):
        raise InputError(f"{name}: {objection}")

    progress.stage("scan", "looking for scenes and faces", of=info.frames, unit="frames")
    film = scan(source, request.detector, store).at(source)
    speech = lay_speech(sound, info.frames, str(info.frame_rate), store)

    progress.stage("plan", "planning segments")
    cuts, kinds = request.given_cuts(info.frames)
    rules = {
        "target_s": request.segment_seconds, "start_s": request.start, "end_s": request.end
    }  # fmt: skip
    planned = plan(film, speech.analysis, rules, cuts, kinds, store)
    return dubbed(name, film, speech, planned, request, purse)
