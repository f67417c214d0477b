"""Answers that refuse: the problem bodies of the service, and the page of its edge."""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import HTMLResponse, JSONResponse, Response


class Refused(Exception):
    """A request that is answered with an error; ``detail`` is the service's own text for it."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail

    def answer(self) -> Response:
        """The answer; its ``status`` is a number, unlike that of a job."""
        title = HTTPStatus(self.status).phrase
        body = {"status": self.status, "title": title, "detail": self.detail}
        return JSONResponse(body, self.status)


def not_found() -> Refused:
    """No such job: never accepted, expired, or not visible yet."""
    return Refused(404, "job not found")


def bad_gateway() -> Response:
    """What the edge in front of the service answers."""
    page = "<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>"
    return HTMLResponse(page, 502)
