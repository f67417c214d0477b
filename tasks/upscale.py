"""Upscale: a whole film made larger by a network."""

from __future__ import annotations

from pathlib import Path

from prefect import task

from lipsync_core.finish.model import given_model
from lipsync_core.finish.upscale import RANGE, Upscaler
from lipsync_core.finish.upscaled_film import UpscaledFilm, upscale_film
from lipsync_core.media.probe import probe
from tasks.steps import frames_done


@task(name="upscale")
def upscale(video: Path, model: str, out: Path) -> UpscaledFilm:
    """Write a film as many times as large as the model makes it."""
    upscaler = Upscaler(given_model(model, RANGE))
    return upscale_film(probe(video), upscaler, out, on_frame=frames_done)
