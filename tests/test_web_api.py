from __future__ import annotations

import base64
import json
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

pytest.importorskip("fastapi", reason="the extra 'web' is not installed")
with warnings.catch_warnings():
    # Newer releases of Starlette prefer httpx2; both work.
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

from aleph.damage import find as damage_find
from aleph.errors import InputError
from aleph.frames.placement import Placement
from aleph.inpainter import Inpainter
from aleph.web.app import create_app
from aleph.web.engine import Engine, used_frames
from aleph.web.folder import PhotoFolder
from aleph.web.guard import Door
from aleph.web.limits import Limits
from aleph.web.server import page_address
from helpers import noise, serving, some_hole
from test_damage import perfect, scratched

HERE = "http://127.0.0.1:8000"


def png(pixels: NDArray[Any]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


IMAGE, HOLE = noise(24, 24), some_hole(24, 24)
FILES = {"image": png(IMAGE), "mask": png(HOLE.astype(np.uint8) * np.uint8(255))}
LONG = {"steps": "2000", "preset": "yeh2017"}


@pytest.fixture
def client(tiny_folder: Path) -> Iterator[TestClient]:
    limits = Limits(upload_bytes=100_000, pixels=10_000, queue=2)
    web = create_app(Engine("cpu", str(tiny_folder)), limits=limits)
    with TestClient(web.app, base_url=HERE) as client:
        yield client


def submit(client: TestClient, **options: str) -> str:
    answer = client.post("/api/v1/inpaint?wait=false", files=FILES, data=options)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"].endswith(answer.json()["id"])
    return f"/api/v1/jobs/{answer.json()['id']}"


def wait_for(client: TestClient, job: str, *states: str) -> dict[str, Any]:
    for _ in range(600):
        info: dict[str, Any] = client.get(job).json()
        if info["state"] in states:
            return info
        time.sleep(0.05)
    raise AssertionError(info)


def test_the_api_gives_the_pixels_of_the_inpainter(client: TestClient, tiny_folder: Path) -> None:
    options = {"preset": "fast", "steps": "5", "seed": "3", "weighting": "inverse"}
    answer = client.post("/api/v1/inpaint", files=FILES, data=options)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    tiny = Inpainter.from_pretrained(tiny_folder, device="cpu")
    expected = tiny(IMAGE, HOLE, preset="fast", steps=5, seed=3, weighting="inverse").image
    assert np.array_equal(np.asarray(Image.open(BytesIO(answer.content))), expected)


def test_a_job_tells_its_steps_and_leaves_candidates_and_an_animation(client: TestClient) -> None:
    job = submit(client, steps="6", candidates="2")
    lines = client.get(f"{job}/events").text.splitlines()
    names = [line[7:] for line in lines if line.startswith("event: ")]
    happened = [name for name in names if name != "stage"]
    assert happened == ["queued", "running", *["step"] * 7, "done"]
    stages = [json.loads(line[6:])["stage"] for line in lines if line.startswith('data: {"stage"')]
    assert stages == ["looking", "searching", "blending"]
    assert names[-2:] == ["stage", "done"]
    steps = [json.loads(line[6:]) for line in lines if line.startswith('data: {"step"')]
    assert [step["step"] for step in steps] == list(range(7))
    info = client.get(job).json()
    assert (info["state"], len(info["candidates"]), info["width"]) == ("done", 2, 24)
    first, second = (client.get(f"{job}/result?candidate={k}").content for k in (0, 1))
    assert first != second
    assert client.get(f"{job}/result?candidate=2").status_code == 404
    thumbnail = Image.open(BytesIO(client.get(f"{job}/result?side=16").content))
    assert thumbnail.size == (16, 16)
    assert client.get(f"{job}/animation?format=gif").content.startswith(b"GIF8")
    assert client.delete(job).status_code == 204
    assert client.get(f"{job}/result").status_code == 404


def test_a_full_queue_refuses_and_a_cancelled_job_frees_its_place(client: TestClient) -> None:
    jobs = [submit(client, **LONG), submit(client, **LONG)]
    refused = client.post("/api/v1/inpaint", files=FILES)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    wait_for(client, jobs[0], "running")
    assert client.get(f"{jobs[0]}/result").status_code == 409
    for job in jobs:
        assert client.delete(job).status_code == 204
    for _ in range(100):
        if (answer := client.post("/api/v1/inpaint", files=FILES)).status_code == 200:
            break
        time.sleep(0.05)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("files", "options", "status", "sentence"),
    [
        ({"image": b"no picture"}, {}, 422, "not a picture"),
        ({"image": png(noise(101, 100))}, {}, 413, "101"),
        ({"image": bytes(200_000)}, {}, 413, "too large"),
        ({"mask": png(np.zeros((24, 24), np.uint8))}, {}, 422, "nothing to fill"),
        ({}, {"steps": "2001"}, 422, "steps"),
        ({}, {"candidates": "13"}, 422, "candidates"),
        ({}, {"model": "/etc"}, 422, "unknown model"),
        ({}, {"prior_weight": "nan"}, 422, "prior_weight"),
    ],
)
def test_what_cannot_be_used_is_refused_with_one_sentence(
    files: dict[str, bytes], options: dict[str, str], status: int, sentence: str,
    client: TestClient,
) -> None:  # fmt: skip
    answer = client.post("/api/v1/inpaint", files={**FILES, **files}, data=options)
    assert answer.status_code == status, answer.text
    assert sentence in answer.json()["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
    ],
)
def test_foreign_hosts_and_origins_are_refused(headers: dict[str, str], client: TestClient) -> None:
    assert client.get("/api/v1/models").status_code == 200
    assert client.get("/api/v1/models", headers={"origin": HERE}).status_code == 200
    assert client.get("/api/v1/models", headers=headers).status_code == 403


@pytest.mark.parametrize("path", ["/api/v1/models/", "/api/v1/jobs/x/"])
def test_no_client_is_sent_to_another_address(path: str, client: TestClient) -> None:
    assert client.get(path, follow_redirects=False).status_code == 404


def test_beyond_the_loopback_a_token_is_demanded(tiny_folder: Path) -> None:
    web = create_app(Engine("cpu", str(tiny_folder)), Door("0.0.0.0", "open sesame"))
    with TestClient(web.app, base_url="http://192.168.0.7") as client:
        models = "/api/v1/models"
        assert client.get(models).status_code == 401
        assert client.get(models, headers={"authorization": "Bearer wrong"}).status_code == 401
        right = {"authorization": "Bearer open sesame"}
        assert client.get(models, headers=right).status_code == 200


def test_nothing_is_left_of_many_clients_at_once(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    limits = Limits(queue=2, kept_results=3, kept_for=1.0)
    web = create_app(Engine("cpu", str(tiny_folder)), limits=limits)
    answers: list[httpx.Response] = []

    def ask(client: httpx.Client) -> None:
        for wait in ("true", "false", "true"):
            options = {"data": {"preset": "fast"}, "params": {"wait": wait}}
            answers.append(client.post("inpaint", files=FILES, **options))

    with serving(web.app) as address, httpx.Client(base_url=f"{address}api/v1", timeout=60) as one:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(ask, [one] * 8))
        counts = Counter(answer.status_code for answer in answers)
        assert counts[200]
        assert counts[200] + counts[202] + counts[429] == 24, counts
        assert all("retry-after" in a.headers for a in answers if a.status_code == 429)
        for _ in range(300):
            if not len(web.jobs):
                break
            time.sleep(0.05)
        assert len(web.jobs) == 0
        (uploads,) = tmp_path.glob("aleph-*")
        assert list(uploads.iterdir()) == []
        jobs = [a.headers["location"] for a in answers if a.status_code == 202]
        assert {one.get(f"{address}{job[1:]}").status_code for job in jobs} <= {404}
        again = [one.post("inpaint?wait=false", files=FILES).status_code for _ in range(2)]
        assert again == [202, 202]
    assert not uploads.exists()


def test_the_weights_and_the_samples_are_pictures(client: TestClient) -> None:
    weights = client.post("/api/v1/weights", files={"mask": FILES["mask"]})
    levels = np.asarray(Image.open(BytesIO(weights.content)))
    assert levels[HOLE].max() == 0
    assert levels.max() == 255
    for sample in client.get("/api/v1/samples").json():
        photo, mask, small = (
            Image.open(BytesIO(client.get(f"/api/v1/samples/{sample['name']}/{part}").content))
            for part in ("image", "mask", "thumbnail")
        )
        assert photo.size == mask.size
        assert max(small.size) < max(photo.size)
        # All damage is marked, and not much more.
        assert 0.001 < (np.asarray(mask.convert("L")) > 127).mean() < 0.1
    assert client.get("/api/v1/samples/none/image").status_code == 404


def test_a_picture_is_widened_by_whole_pixels_and_within_the_limit(tiny_folder: Path) -> None:
    """The mask says nothing, or marks something too; a thousandth of a side is a pixel of it."""
    empty = png(np.zeros((24, 24), np.uint8))
    web = create_app(Engine("cpu", str(tiny_folder)), limits=Limits(pixels=1000))
    with TestClient(web.app, base_url=HERE) as client:

        def ask(mask: bytes, *extend: str) -> httpx.Response:
            data = {"preset": "fast", "extend": extend}
            return client.post("/api/v1/inpaint", files={**FILES, "mask": mask}, data=data)

        for mask in (empty, FILES["mask"]):
            answer = ask(mask, "left=20.833%", "bottom=0.1%")
            assert answer.status_code == 200, answer.text
            wide = np.asarray(Image.open(BytesIO(answer.content)))
            assert wide.shape == (25, 29, 3)
            known = ~HOLE if mask is FILES["mask"] else np.ones_like(HOLE)
            assert np.array_equal(wide[:24, 5:][known], IMAGE[known])
        refused = ask(empty, "right=100%")
        assert refused.status_code == 422
        assert "widened image has 48×24 pixels" in refused.json()["detail"]
        assert ask(empty).status_code == 422


def test_a_thumbnail_can_show_an_area(client: TestClient) -> None:
    job = submit(client, steps="0")
    wait_for(client, job, "done")
    shown = [
        Image.open(BytesIO(client.get(f"{job}/result?side=64{area}").content)).size
        for area in ("", "&area=2,3,10,9", "&area=-5,-5,6,50")
    ]
    assert shown == [(24, 24), (8, 6), (6, 24)]
    assert client.get(f"{job}/result?side=64&area=30,0,40,9").status_code == 422


def test_what_cannot_be_filled_is_refused_when_it_is_checked(client: TestClient) -> None:
    def check(data: bytes) -> httpx.Response:
        return client.post("/api/v1/check", files={"image": data})

    facts = {"width": 24, "height": 24, "format": "png", "remarks": [], "missing": None}
    assert check(png(IMAGE)).json() == facts
    assert check(png(noise(101, 100))).status_code == 413
    assert check(png(IMAGE)[:-40]).status_code == 422
    buffer = BytesIO()
    Image.fromarray(np.zeros((8, 8), np.float32)).save(buffer, "TIFF")
    assert check(buffer.getvalue()).status_code == 422


def test_what_a_file_that_is_cut_short_lacks_is_told(client: TestClient) -> None:
    buffer = BytesIO()
    Image.fromarray(noise(64, 48)).save(buffer, "JPEG", quality=95)
    cut = buffer.getvalue()[: len(buffer.getvalue()) // 2]
    told = client.post("/api/v1/check", files={"image": cut}).json()
    assert any("cut short" in remark for remark in told["remarks"])
    data = base64.b64decode(told["missing"].removeprefix("data:image/png;base64,"))
    missing = np.asarray(Image.open(BytesIO(data)).convert("L")) == 255
    assert missing.shape == (64, 48)
    assert missing[-16:].all() and not missing[:8].any()


def test_a_folder_of_photos_is_listed_and_nothing_else_is_served(
    tiny_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret.png").write_bytes(png(IMAGE))
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    for name in ("b.png", "A.JPG", ".hidden.png", "notes.txt", "ü 100%.webp"):
        (folder / name).write_bytes(png(IMAGE))
    web = create_app(Engine("cpu", str(tiny_folder)), photos=PhotoFolder(folder))
    with TestClient(web.app, base_url=HERE) as client:
        assert client.get("/api/v1/models").json()["photos"]
        listed = [photo["name"] for photo in client.get("/api/v1/photos").json()]
        assert listed == ["A.JPG", "b.png", "ü 100%.webp"]
        answer = client.get(f"/api/v1/photos/{quote(listed[2])}")
        assert (answer.headers["content-type"], answer.content) == ("image/webp", png(IMAGE))
        for name in ("..%2Fsecret.png", ".hidden.png", "notes.txt", "below"):
            assert client.get(f"/api/v1/photos/{name}").status_code == 404
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no photo"):
        PhotoFolder(tmp_path / "empty")


def test_without_a_folder_no_photos_are_listed(client: TestClient) -> None:
    assert not client.get("/api/v1/models").json()["photos"]
    assert client.get("/api/v1/photos").status_code == 404


def test_the_address_beyond_the_loopback_can_be_opened_by_others() -> None:
    assert page_address("127.0.0.1", 8000) == "http://127.0.0.1:8000"
    assert page_address("::1", 8000) == "http://[::1]:8000"
    for host in ("0.0.0.0", "::"):
        shown = urlsplit(page_address(host, 8000)).hostname
        assert shown not in (host, "", None)
        assert Door(host).knows(str(shown))


def test_the_damage_of_a_picture_is_a_probability(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(damage_find, "kept_model", perfect)
    picture, hole = scratched(40, 32)
    answer = client.post("/api/v1/damage", files={"image": png(picture)})
    assert answer.headers["content-type"] == "image/png"
    with Image.open(BytesIO(answer.content)) as found:
        assert found.mode == "L" and found.size == (32, 40)
        assert np.array_equal(np.asarray(found) > 127, hole)
    answer = client.post("/api/v1/damage", files={"image": b"no picture"})
    assert answer.status_code == 422 and "not a picture" in answer.json()["detail"]
    answer = client.post("/api/v1/damage", files={"image": png(noise(200, 60))})
    assert answer.status_code == 413


def test_a_body_of_untold_length_is_refused_where_it_is_too_large(client: TestClient) -> None:
    form = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    pieces = (piece for piece in [form, *[bytes(10_000)] * 20])
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = client.post("/api/v1/display", content=pieces, headers=headers)
    assert answer.status_code == 413
    assert "too large" in answer.json()["detail"]


@dataclass(frozen=True)
class Face:
    placement: Placement
    score: float


def test_faces_are_found_the_surest_first(tiny_folder: Path) -> None:
    asked: list[tuple[NDArray[np.uint8], NDArray[np.bool_]]] = []

    def finder(pixels: NDArray[np.uint8], hole: NDArray[np.bool_]) -> list[Face]:
        asked.append((pixels, hole))
        return [Face(Placement(9, 8, 7, 30), 0.4), Face(Placement(12, 11, 10), 0.9)]

    web = create_app(Engine("cpu", str(tiny_folder), finder=finder))
    with TestClient(web.app, base_url=HERE) as client:
        assert client.get("/api/v1/models").json()["frames"]
        frames = client.post("/api/v1/frames", files=FILES).json()
    assert [frame["score"] for frame in frames] == [0.9, 0.4]
    assert frames[0]["corners"] == [[7, 6], [17, 6], [17, 16], [7, 16]]
    assert np.allclose(
        Placement.from_eyes(*np.ravel(frames[1]["eyes"])).corners, frames[1]["corners"]
    )
    assert np.array_equal(asked[0][0], IMAGE)
    assert np.array_equal(asked[0][1], HOLE)


def test_the_frames_of_a_fill_are_those_that_were_not_dropped() -> None:
    placed = {"center": [12, 11], "side": 10, "angle": 0, "score": None}
    frames = [{**placed, "dropped": False}, {**placed, "dropped": True}]
    (frame,) = used_frames({"frames": frames})
    assert frame.corners == [[7, 6], [17, 6], [17, 16], [7, 16]]
    assert used_frames({}) == []


def test_where_faces_cannot_be_found_that_is_said(client: TestClient) -> None:
    assert not client.get("/api/v1/models").json()["frames"]
    answer = client.post("/api/v1/frames", files=FILES)
    assert answer.status_code == 501
    assert "eyes" in answer.json()["detail"]
