"""A portrait that speaks: one picture and a voice in, a film of the picture speaking out.

    python -m flows.portrait --image FACE.jpg --audio SPEECH.wav --out TALK.mp4
    python -m flows.portrait --manifest PORTRAITS.csv --out DIR --generator infinitetalk

The film is exactly as long as the speech, and is measured and reported like every other; beside
TALK.mp4 the folder TALK.lipsync holds the report. The same command goes on where it was stopped.
"""

from __future__ import annotations

from prefect import flow

from flows.command import run_command
from flows.dub import FilmOutcome, dubbed
from flows.each_film import each_film
from flows.portrait_request import PortraitRequest
from flows.progress import progress
from flows.pushed import pushed
from lipsync_core.jobs.budget import Purse
from lipsync_core.jobs.manifest import Source
from lipsync_core.report.summary import RunSummary
from tasks.fetch import at_hand
from tasks.plan_speech import divide_speech
from tasks.prepare import prepare
from tasks.speech import lay_speech, speech_frames
from tasks.still import still_of


@flow(name="portrait", description="Make a picture speak.", persist_result=False)
def portrait(request: PortraitRequest) -> RunSummary:
    """Make every picture of a request speak.

    Args:
        request: a picture and an audio, or a manifest; the rest may stay empty.
    """
    request = request.with_settings()
    request.check_engine()
    request.check_out()
    run = each_film(speaking_film, request.pairs(), request)
    return pushed(run, request.push_to_s3) if request.push_to_s3 and not request.dry_run else run


@flow(name="speaking film", flow_run_name="{name}", persist_result=False)
def speaking_film(
    name: str, image: Source, audio: Source, request: PortraitRequest, purse: Purse
) -> FilmOutcome:
    """Frame one picture and divide its speech; then render, verify, join and check the film."""
    store = request.store_root
    prepare(request.folder_of(name), store)
    picture, sound = at_hand(image, store), at_hand(audio, store)

    progress.stage("picture", "looking at the picture")
    frames = speech_frames(sound, str(audio), store)
    film = still_of(picture, str(image), frames, request.framing, store)
    speech = lay_speech(sound, frames, film.frame_rate, store)

    progress.stage("plan", "dividing the speech at its pauses")
    planned = divide_speech(film, speech.analysis, str(audio), request.target_s, store)
    return dubbed(name, film, speech, planned, request, purse)


if __name__ == "__main__":
    run_command(portrait, PortraitRequest, check=PortraitRequest.checked)
