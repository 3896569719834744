"""What the applications have in common: guard, refusals, the page at ``/docs``, and ``/health``."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel, Field

from dtxeth.web.guard import Guard
from dtxeth.web.limits import Limits
from dtxeth.web.refusals import add_refusals


class Health(BaseModel):
    """That a server is there."""

    status: str = Field(description="Always `ok`.")


class Refusal(BaseModel):
    """Why a request was refused."""

    error: str = Field(description="Class of the error, as in docs/errors.md.")
    message: str = Field(description="What is wrong, and what to do about it.")


REFUSED: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": Refusal, "description": why}
    for status, why in {
        400: "The request is malformed.",
        401: "It is not signed, or not by its sender.",
        403: "The signature lapsed or was used, or a rule forbids it.",
        404: "There is no such thing.",
        408: "The body did not come in time.",
        409: "It contradicts what the node or the chain has.",
        413: "The body is too large.",
        429: "This host or account asks too often.",
        503: "The server is busy, or cannot reach the chain.",
        507: "The node has no room, or its disk fails.",
    }.items()
}
"""OpenAPI's word on refusals."""

OCTETS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        "description": "The bytes.",
    }
}
"""OpenAPI's word on bytes in an answer."""


def new_app(title: str, description: str, limits: Limits) -> FastAPI:
    """Make an application with a guard, refusals, ``/docs`` without the internet, and ``/health``."""
    app = FastAPIOffline(
        title=title,
        description=description,
        redoc_url=None,
        redirect_slashes=False,
        responses=REFUSED,
    )
    add_refusals(app)
    app.add_middleware(Guard, limits=limits)

    @app.get("/health", tags=["state"], summary="Tell that the server is there")
    async def health() -> Health:
        return Health(status="ok")

    return app
