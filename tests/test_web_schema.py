"""The HTTP API against its own description, by requests that are generated from it."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from PIL import Image

pytest.importorskip("fastapi", reason="the extra 'web' is not installed")
schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

from aleph.web.app import create_app  # noqa: E402
from aleph.web.engine import Engine  # noqa: E402
from aleph.web.guard import Door  # noqa: E402
from aleph.web.schemas import UPLOAD_TYPES  # noqa: E402
from helpers import TOKEN, serving, some_hole  # noqa: E402

HEADERS = {"Authorization": f"Bearer {TOKEN}"}
# What no schema can say, such as which models there are, or how large a photo is, is refused with
# 422.
CONFIG = {
    "operations": [
        {
            "include-operation-id": name,
            "checks": {"positive_data_acceptance": {"expected-statuses": statuses}},
        }
        for name, statuses in (
            ("inpaint", ["2xx", 422]),
            ("read_result", ["2xx", 401, 404, 409, 422]),
        )
    ]
}


def bounded(examples: int, **more: int) -> settings:
    return settings(max_examples=examples, suppress_health_check=list(HealthCheck), **more)


def encoded(media_type: str) -> bytes:
    """A picture that serves as its own mask."""
    form = {"image/x-portable-anymap": "PPM"}.get(media_type, media_type[6:].upper())
    buffer = io.BytesIO()
    Image.fromarray(some_hole(24, 24)).convert("RGB").save(buffer, form)
    return buffer.getvalue()


for media_type in UPLOAD_TYPES:
    schemathesis.openapi.media_type(media_type, st.just(encoded(media_type)))

API = schemathesis.openapi.from_dict(
    create_app(door=Door(token=TOKEN)).app.openapi(),
    config=schemathesis.config.SchemathesisConfig.from_dict(CONFIG),
)


@API.hook
def map_case(context: object, case: schemathesis.Case) -> schemathesis.Case:
    """Keep searches short, and without what only some models and versions can do."""
    if operation(case) == "inpaint" and isinstance(case.body, dict):
        for name in ("model", "frame", "eyes"):
            case.body.pop(name, None)
        if isinstance(case.body.get("steps", 0), int):
            case.body["steps"] = 2
    return case


def operation(case: schemathesis.Case) -> str:
    return str(case.operation.definition.raw["operationId"])


@pytest.fixture(scope="module")
def address(tiny_folder: Path) -> Iterator[str]:
    """A server that demands a token and can look for faces, but finds none."""
    engine = Engine("cpu", str(tiny_folder), finder=lambda pixels, hole: [])
    with serving(create_app(engine, Door(token=TOKEN)).app) as address:
        yield address


@API.parametrize()
@bounded(12)
def test_every_operation_is_as_described(case: schemathesis.Case, address: str) -> None:
    case.call_and_validate(base_url=address, headers=HEADERS)


def test_jobs_are_as_described_from_beginning_to_end(address: str) -> None:
    seen: Counter[tuple[str, int]] = Counter()

    class Client(API.as_state_machine()):
        def before_call(self, case: schemathesis.Case) -> None:
            if operation(case) == "inpaint":
                case.query = {"wait": "false"}

        def get_call_kwargs(self, case: schemathesis.Case) -> dict[str, Any]:
            return {"headers": HEADERS, "base_url": address}

        def validate_response(
            self, response: schemathesis.Response, case: schemathesis.Case, **more: object
        ) -> None:
            # Words of a query that nobody knows are passed over, as everywhere on the web.
            case.validate_response(
                response, excluded_checks=[schemathesis.checks.negative_data_rejection]
            )

        def after_call(self, response: schemathesis.Response, case: schemathesis.Case) -> None:
            seen[operation(case), response.status_code] += 1
            if response.status_code == 202:
                # All jobs are looked at when they are over, so that answers do not hang on time.
                events = f"{address}api/v1/jobs/{response.json()['id']}/events"
                follower.get(events)

    # One for all: each would read all certificates anew.
    with httpx.Client(headers=HEADERS, timeout=30) as follower:
        Client.run(settings=bounded(100, stateful_step_count=8))
    for name in ("read_job", "follow_job", "read_result", "read_animation"):
        assert seen[name, 200], seen
    assert seen["cancel_job", 204], seen
