"""The HTTP API: all routes under one prefix, behind one token."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer

from aleph.web import job_routes, tool_routes
from aleph.web.openapi import problems

PREFIX = "/api/v1"
_PARTS = (job_routes.router, tool_routes.router)


def make_router(locked: bool) -> APIRouter:
    """Return the routes of the API.

    Args:
        locked: Whether a token is demanded; `guard` does that, the routes only say so.
    """
    token = [Depends(HTTPBearer(auto_error=False, description="As aleph serve printed it."))]
    router = APIRouter(prefix=PREFIX, responses=problems(), dependencies=token if locked else [])
    for part in _PARTS:
        router.include_router(part)
    return router


def allowed_methods(path: str) -> set[str]:
    """Return the methods that the API knows for a path."""
    below = path.removeprefix(PREFIX)
    routes = [route for part in _PARTS for route in part.routes if isinstance(route, APIRoute)]
    here = [route for route in routes if route.path_regex.match(below)]
    return {method for route in here for method in route.methods or ()}
