"""The files of deploy/ agree with the commands and the server that they start."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

pytest.importorskip("fastapi", reason="the extra 'web' is not installed")
from fastapi.testclient import TestClient

from aleph.cli.app import app
from aleph.inpainter import Inpainter
from aleph.web.app import create_app
from aleph.web.engine import Engine
from aleph.web.guard import Door

yaml = pytest.importorskip("yaml", reason="the extra 'docs' is not installed")

DEPLOY = Path(__file__).parents[1] / "deploy"


def read(name: str) -> Any:  # noqa: ANN401 - what YAML holds
    """Return what a file of deploy/ says."""
    return yaml.safe_load((DEPLOY / name).read_text())


def options_of(words: list[str]) -> dict[str, Any]:
    """Return the options that `aleph serve` reads from a command's words."""
    assert words[0] == "serve"
    serve = get_command(app).commands["serve"]  # type: ignore[attr-defined]
    return dict(serve.make_context("serve", words[1:]).params)


def image_command() -> list[str]:
    """Return the words of the Dockerfile's CMD."""
    line = next(
        line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if line.startswith("CMD")
    )
    return list(yaml.safe_load(line.removeprefix("CMD ")))


@pytest.fixture
def client(tiny_folder: Path, tiny: Inpainter) -> TestClient:
    """Prometheus beside the service that compose.yaml starts."""
    options = options_of(read("compose.yaml")["services"]["aleph"]["command"])
    door = Door(options["host"], "a-token", tuple(options["allow_host"]))
    target = read("prometheus.yaml")["scrape_configs"][0]["static_configs"][0]["targets"][0]
    service = create_app(Engine("cpu", str(tiny_folder)), door=door)
    return TestClient(service.app, base_url=f"http://{target}")


def test_the_image_serves_where_its_health_check_asks() -> None:
    options = options_of(image_command())
    assert options["host"] == "0.0.0.0"
    text = (DEPLOY / "Dockerfile").read_text()
    assert f"EXPOSE {options['port']}" in text
    assert f"http://127.0.0.1:{options['port']}/healthz" in text


def test_prometheus_is_let_in_by_name_and_token(client: TestClient) -> None:
    job = read("prometheus.yaml")["scrape_configs"][0]
    secret = read("compose.yaml")["secrets"]["token"]
    assert secret == {"environment": "ALEPH_TOKEN"}
    assert job["authorization"] == {"credentials_file": "/run/secrets/token"}
    assert client.get(job["metrics_path"]).status_code == 401
    answer = client.get(job["metrics_path"], headers={"Authorization": "Bearer a-token"})
    assert answer.status_code == 200
    assert "aleph_jobs_waiting" in answer.text


def test_the_host_reaches_the_page_by_the_published_address(client: TestClient) -> None:
    published = read("compose.yaml")["services"]["aleph"]["ports"][0]
    address, outside, _inside = published.split(":")
    assert client.get("/", headers={"Host": f"{address}:{outside}"}).status_code == 200


def test_ray_takes_the_cluster_file() -> None:
    config = pytest.importorskip("ray.autoscaler._private.util")
    whole = config.prepare_config(read("ray-cluster.yaml"))
    config.validate_config(whole)
    workers = whole["available_node_types"][whole["head_node_type"]]
    assert workers["min_workers"] == len(read("ray-cluster.yaml")["provider"]["worker_ips"])


def test_the_head_of_the_cluster_starts_its_workers() -> None:
    """Machines named in the file join only if the head knows the file."""
    begin = read("ray-cluster.yaml")["head_start_ray_commands"][-1]
    words = shlex.split(begin)
    assert words[1:3] == ["start", "--head"]
    assert "--autoscaling-config=~/ray_bootstrap_config.yaml" in words
