"""What the server withstands: broken models, bad jobs, hostile uploads, losses that are NaN."""

from __future__ import annotations

import asyncio
import io
import json
import math
import re
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

pytest.importorskip("fastapi", reason="the extra 'web' is not installed")
import httpx

from aleph.arrays import Region
from aleph.damage import tiles
from aleph.inpainter import Inpainter
from aleph.models.folder import save_model
from aleph.models.networks import build_networks
from aleph.web.app import create_app
from aleph.web.engine import Engine
from aleph.web.guard import Door
from aleph.web.jobs import Job, Jobs, QueueFull
from aleph.web.limits import Limits
from conftest import RunCli
from helpers import KINDS, TOKEN, noise, serving, some_hole

IMAGE, HOLE = noise(24, 24), some_hole(24, 24)


def encoded(pixels: NDArray[Any], form: str = "PNG", **options: bytes | bool) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **options)
    return buffer.getvalue()


FILES = {"image": encoded(IMAGE), "mask": encoded(HOLE.astype(np.uint8) * np.uint8(255))}


@pytest.fixture
def slow_tiles(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Damage is looked for in tiles of 8 pixels, slowly; a number for each that was looked at."""
    looked: list[int] = []

    def look(image: object, coarser: object, tile: Region, model: object) -> NDArray[np.uint8]:
        looked.append(len(looked))
        time.sleep(0.05)
        return np.zeros([part.stop - part.start for part in tile], np.uint8)

    monkeypatch.setattr(tiles, "_TILE", 8)
    monkeypatch.setattr(tiles, "_look", look)
    return looked


# ---- broken models


@pytest.fixture
def junk(tiny_folder: Path, tmp_path: Path) -> Path:
    """A model folder whose weights are junk."""
    folder = tmp_path / "junk"
    folder.mkdir()
    for path in tiny_folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "model.safetensors").write_bytes(b"junk" * 100)
    return folder


@pytest.mark.parametrize("missing", [False, True])
def test_broken_weights_refuse_the_start_in_one_sentence(
    missing: bool, junk: Path, call_cli: RunCli
) -> None:
    if missing:
        (junk / "model.safetensors").unlink()
    outcome = call_cli("serve", "--port", "0", "--model", junk)
    assert outcome.code == 2
    assert "model.safetensors" in outcome.err
    assert outcome.err.count("\n") == 1
    assert "open http" not in outcome.out


def test_a_broken_detector_refuses_the_start(junk: Path, tmp_path: Path, call_cli: RunCli) -> None:
    config = replace(KINDS["dcgan"], detector=str(junk))
    save_model(tmp_path / "model", config, build_networks(config), "# model\n")
    outcome = call_cli("serve", "--port", "0", "--model", tmp_path / "model")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1


def test_a_model_that_breaks_later_fails_its_job_and_not_the_worker(
    tiny_folder: Path, junk: Path
) -> None:
    engine = Engine("cpu", str(junk))
    with serving(create_app(engine).app) as address, httpx.Client(base_url=address) as client:
        for _ in range(2):
            answer = client.post("api/v1/inpaint", files=FILES, timeout=30)
            assert answer.status_code == 422
            assert "model.safetensors" in answer.json()["detail"]
            assert str(junk.parent) not in answer.json()["detail"]


# ---- jobs


@dataclass(frozen=True)
class Nothing:
    nbytes: int = 0


def raising(error: BaseException) -> Callable[[Job[Nothing]], Nothing]:
    def run(job: Job[Nothing]) -> Nothing:
        raise error

    return run


def fail() -> None:
    raise OSError("the disk is gone")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (SystemExit(1), "internal error: SystemExit"),
        (RecursionError(), "internal error: RecursionError"),
        (MemoryError(), "too large"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "too large"),
    ],
)
def test_the_worker_outlives_whatever_a_job_does(error: BaseException, sentence: str) -> None:
    jobs: Jobs[Nothing] = Jobs(Limits())
    jobs.start()
    bad: Job[Nothing] = Job(raising(error), fail)
    # Its listener's event loop has ended without a word.
    loop = asyncio.new_event_loop()
    follow = bad.follow()
    loop.run_until_complete(_first(follow))
    loop.close()
    good: Job[Nothing] = Job(lambda job: Nothing(), lambda: None)
    jobs.submit(bad)
    jobs.submit(good)
    assert jobs.wait_idle(10)
    assert bad.state == "failed"
    assert sentence in (bad.error or "")
    assert good.state == "done"
    jobs.stop()
    jobs.join(10)


async def _first(follow: AsyncIterator[object]) -> None:
    """Begin to listen, and be left there."""
    waiting = asyncio.ensure_future(anext(follow))
    await asyncio.sleep(0.01)
    _LEFT.append((follow, waiting))


_LEFT: list[Any] = []


# ---- uploads


def webp_that_looks_like_photo_cd() -> bytes:
    """A WebP of 24×24 pixels with the signature of Kodak PhotoCD, 768×512, where that has it."""
    filler = b"II*\0\x08" + bytes(9) + b"\1" * 6000
    plain = encoded(IMAGE, "WEBP", lossless=True, exif=filler)
    at = plain.index(filler)
    position = 2048 - at
    assert 0 < position < 5000
    marked = filler[:position] + b"PCD_" + filler[position + 4 :]
    return plain.replace(filler, marked)


def test_an_upload_is_decoded_as_what_its_header_was_checked_as(tiny_folder: Path) -> None:
    disguised = webp_that_looks_like_photo_cd()
    with Image.open(io.BytesIO(disguised)) as picture:
        assert picture.format == "PCD"  # as which it would pass for another picture
    app = create_app(Engine("cpu", str(tiny_folder)), limits=Limits(pixels=1000)).app
    with serving(app) as address, httpx.Client(base_url=f"{address}api/v1/") as client:
        shown = client.post("display", files={"image": disguised})
        assert (shown.headers["x-width"], shown.headers["x-height"]) == ("24", "24")
        answer = client.post("inpaint", files={**FILES, "image": disguised}, timeout=60)
    filled = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))
    assert answer.headers["content-type"] == "image/webp"
    assert filled.shape == IMAGE.shape


def test_an_upload_is_decoded_once(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import PngImagePlugin

    decoded: list[tuple[int, int]] = []
    load = PngImagePlugin.PngImageFile.load_end

    def counted(picture: PngImagePlugin.PngImageFile) -> None:
        decoded.append(picture.size)
        load(picture)

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load_end", counted)
    with serving(create_app(Engine("cpu", str(tiny_folder))).app) as address:
        answer = httpx.post(f"{address}api/v1/inpaint", files=FILES, timeout=60)
    assert answer.status_code == 200
    assert len(decoded) == 2  # the picture and its mask


def test_looking_for_damage_ends_when_nobody_waits_for_it(
    tiny_folder: Path, slow_tiles: list[int]
) -> None:
    """Those that look and those that wait for their turn end; the next who asks is served."""
    large = {"image": encoded(noise(160, 160))}  # 400 tiles: 20 seconds
    with serving(create_app(Engine("cpu", str(tiny_folder))).app) as address:
        for _ in range(4):
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(f"{address}api/v1/damage", files=large, timeout=0.6)
        small = {"image": encoded(noise(8, 8))}
        answer = httpx.post(f"{address}api/v1/damage", files=small, timeout=60)
        assert answer.status_code == 200
        assert len(slow_tiles) < 400
        time.sleep(1)
        ended = len(slow_tiles)
        time.sleep(1)
        assert len(slow_tiles) == ended


def test_a_full_queue_refuses_before_the_body_is_read(tiny_folder: Path) -> None:
    web = create_app(Engine("cpu", str(tiny_folder)), limits=Limits(queue=1))
    release = threading.Event()

    def wait(job: Job[Any]) -> Nothing:
        release.wait(30)
        return Nothing()

    web.jobs.start()
    web.jobs.submit(Job(wait, lambda: None))
    happened: list[str] = []

    async def receive() -> dict[str, Any]:
        happened.append("body")
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, object]) -> None:
        happened.append(str(message.get("status", "answer")))

    scope = {
        **{"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST"},
        **{"path": "/api/v1/inpaint", "raw_path": b"", "query_string": b"", "root_path": ""},
        **{"scheme": "http", "headers": [(b"host", b"127.0.0.1")]},
    }
    try:
        asyncio.run(web.app(scope, receive, send))
    finally:
        release.set()
        web.jobs.stop()
        web.jobs.join(10)
    assert happened[:2] == ["429", "answer"]


# ---- losses that are no number


class Diverging(nn.Module):
    """A generator of whose images every second one, or every one, is no number."""

    def __init__(self, generator: nn.Module, every: int) -> None:
        super().__init__()
        self.generator, self.every = generator, every

    def forward(self, z: Tensor) -> Tensor:
        image: Tensor = self.generator(z)
        lost = torch.arange(len(z)) % self.every == 0
        return torch.where(lost[:, None, None, None], float("nan"), image)


def diverging(tiny: Inpainter, every: int) -> Inpainter:
    return Inpainter(replace(tiny.model, generator=Diverging(tiny.model.generator, every)))


def test_the_candidates_are_never_those_without_a_loss(tiny: Inpainter) -> None:
    result = diverging(tiny, 2)(IMAGE, HOLE, frame="whole", candidates=4, steps=3, preset="fast")
    losses = [candidate.losses["total"] for candidate in result.candidates]
    assert len(losses) == 2
    assert all(map(math.isfinite, losses))
    assert losses == sorted(losses)
    assert np.isfinite(result.candidates[0].generated).all()
    assert np.array_equal(result.image[~HOLE], IMAGE[~HOLE])


def test_where_every_loss_is_lost_the_surroundings_fill_and_that_is_said(tiny: Inpainter) -> None:
    with pytest.warns(UserWarning, match="no numbers"):
        result = diverging(tiny, 1)(IMAGE, HOLE, frame="whole", candidates=2, steps=3)
    assert result.frames_used == []
    report = json.loads(json.dumps(result.report(), allow_nan=False))
    assert report["frames"][0]["dropped"]
    assert np.array_equal(result.image[~HOLE], IMAGE[~HOLE])


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.filterwarnings("ignore::aleph.errors.FrameWarning")
def test_nan_never_reaches_a_client(
    every: int, tiny: Inpainter, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = diverging(tiny, every).model
    monkeypatch.setattr("aleph.models.zoo.load_model", lambda *_: broken)
    engine = Engine("cpu", str(tiny_folder), preview_interval=0.0)
    data = {"candidates": "4", "steps": "3"}
    with serving(create_app(engine).app) as address, httpx.Client(base_url=address) as client:
        asked = client.post("api/v1/inpaint?wait=false", files=FILES, data=data)
        job = asked.headers["location"]
        events = client.get(f"{job}/events", timeout=60).text
        info = client.get(job)
    assert info.status_code == 200
    assert info.json()["state"] == "done"
    for text in (events, info.text):
        assert not re.search(r"\b(NaN|Infinity)\b", text)
    shown = [json.loads(line[6:]) for line in events.splitlines() if line.startswith("data: ")]
    losses = [event["loss"] for event in shown if "loss" in event]
    assert bool(losses) == (every == 2)


# ---- what is loaded and worked out once


def test_the_detector_is_loaded_once(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []

    def load(name: str, device: str) -> Callable[..., list[object]]:
        loaded.append(name)
        return lambda pixels, hole: []

    monkeypatch.setattr("aleph.frames.detect.load_finder", load)
    config = replace(KINDS["dcgan"], detector="faces-detector")
    save_model(tmp_path / "model", config, build_networks(config), "# model\n")
    engine = Engine("cpu", str(tmp_path / "model"))
    engine.prepare()
    with serving(create_app(engine).app) as address, httpx.Client(base_url=address) as client:
        assert client.post("api/v1/frames", files=FILES).json() == []
        assert client.post("api/v1/inpaint", files=FILES, timeout=60).status_code == 200
    assert loaded == ["faces-detector"]


def test_the_report_is_worked_out_once(tiny: Inpainter, monkeypatch: pytest.MonkeyPatch) -> None:
    import aleph.inpainting

    result = tiny(IMAGE, HOLE, steps=1)
    asked: list[int] = []
    shares = aleph.inpainting.filled_shares

    def counted(*given: object) -> object:
        asked.append(1)
        return shares(*given)

    monkeypatch.setattr(aleph.inpainting, "filled_shares", counted)
    first = result.report()
    assert result.report() == first
    assert len(asked) == 1


def test_results_are_compared_and_printed_like_values_with_arrays(tiny: Inpainter) -> None:
    result, other = tiny(IMAGE, HOLE, steps=1), tiny(IMAGE, HOLE, steps=1)
    assert result == result
    assert result != other
    assert result.candidates[0] in result.candidates
    assert result.candidates[0] != other.candidates[0]
    assert "24×24" in repr(result)
    assert max(len(repr(result)), len(repr(result.candidates))) < 300


# ---- starting


def test_the_page_is_opened_where_that_is_asked_for(
    tiny_folder: Path, pictures: Path, call_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr("aleph.web.server._Server.run", lambda server, sockets: sockets[0].close())
    options = ("serve", "--port", "0", "--model", tiny_folder)
    outcome = call_cli(*options, "--open", "--input", pictures)
    assert outcome.code == 0, outcome.err
    (address,) = opened
    assert f"open {address} " in outcome.out
    # Beyond the loopback others are told another address than this machine's own browser.
    outcome = call_cli(*options, "--open", "--host", "0.0.0.0")
    assert opened[1].startswith("http://127.0.0.1:")
    assert "#token=" in opened[1]
    assert "open http://0.0.0.0" not in outcome.out
    assert call_cli(*options).code == 0
    assert len(opened) == 2


@pytest.mark.parametrize("folder", ["missing", "."])
def test_a_folder_without_photos_refuses_the_start(
    folder: str, tiny_folder: Path, call_cli: RunCli
) -> None:
    outcome = call_cli("serve", "--port", "0", "--model", tiny_folder, "--input", folder)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1


# ---- fairness, and being watched


def test_turns_and_places_are_shared_between_clients() -> None:
    jobs: Jobs[Nothing] = Jobs(Limits(queue=3))
    order: list[str] = []

    def noting(name: str) -> Callable[[Job[Nothing]], Nothing]:
        def run(job: Job[Nothing]) -> Nothing:
            order.append(name)
            return Nothing()

        return run

    for number in range(3):
        jobs.submit(Job(noting(f"greedy {number}"), lambda: None, "greedy"))
    with pytest.raises(QueueFull):
        jobs.submit(Job(noting("one too many"), lambda: None, "greedy"))
    jobs.submit(Job(noting("modest"), lambda: None, "modest"))
    with pytest.raises(QueueFull):
        jobs.check_room("modest")
    jobs.start()
    assert jobs.wait_idle(10)
    assert order == ["greedy 0", "modest", "greedy 1", "greedy 2"]
    assert (jobs.counts.refused, jobs.counts.finished["done"]) == (2, 4)
    jobs.stop()
    jobs.join(10)


def test_the_server_can_be_watched(tiny_folder: Path) -> None:
    web = create_app(Engine("cpu", str(tiny_folder)), Door(token=TOKEN))
    locked = {"Authorization": f"Bearer {TOKEN}"}
    with serving(web.app) as address, httpx.Client(base_url=address, timeout=60) as client:
        assert client.get("healthz").status_code == client.get("readyz").status_code == 200
        assert client.get("metrics").status_code == 401
        assert client.post("api/v1/inpaint", files=FILES, headers=locked).status_code == 200
        assert web.jobs.wait_idle(10)
        told = client.get("metrics", headers=locked).text
        assert 'aleph_jobs_finished_total{state="done"} 1.0' in told
        assert "aleph_jobs_waiting 0.0" in told
        web.jobs.drain()
        assert client.get("readyz").status_code == 503
        assert client.get("healthz").status_code == 200
