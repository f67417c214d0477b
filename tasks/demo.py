"""Make the demo film, unless this release made it here before."""

from __future__ import annotations

from pathlib import Path

from prefect import task
from pydantic import BaseModel

from lipsync_core.demo.film import DemoFilm, make_demo_film
from lipsync_core.stores import MediaRef, is_same_file, path_of, ref_of
from tasks.policy import CACHED, content_key, results_in

VERSION = 1


class DemoFiles(BaseModel, frozen=True):
    """The film and the speech it is to be given."""

    video: MediaRef
    speech: MediaRef

    def in_folder(self, out: Path) -> DemoFilm:
        """The same by their names."""
        return DemoFilm(out / path_of(self.video).name, out / path_of(self.speech).name)

    def are_in(self, out: Path) -> bool:
        """Whether they still lie there as they were made."""
        film = self.in_folder(out)
        return is_same_file(self.video, film.video) and is_same_file(self.speech, film.speech)


@task(name="make demo film", cache_key_fn=content_key("demo film", VERSION), **CACHED)
def make_demo(out: Path, release: str) -> DemoFiles:
    """Draw the film and lay its two speeches; ``release`` is the version of this package."""
    made = make_demo_film(out)
    return DemoFiles(video=ref_of(made.video), speech=ref_of(made.speech))


def demo_film(out: Path, release: str, store: str) -> DemoFilm:
    """The demo film in the folder ``out``, made anew only where it has to be."""
    making = make_demo.with_options(result_storage=results_in(store))
    made = making(out, release)
    if not made.are_in(out):
        made = making.with_options(refresh_cache=True)(out, release)
    return made.in_folder(out)
