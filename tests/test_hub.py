"""Models on the Hub, against a server on this machine that speaks its API."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from aleph.errors import ModelError
from aleph.models.hub import HubName

pytest.importorskip("huggingface_hub")

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Holds repositories in memory: name → file → bytes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.requests: list[str] = []


class Handler(BaseHTTPRequestHandler):
    """The calls that fetching and sharing a model make."""

    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def answer(self, status: int, body: object = b"", **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            files = self.server.repositories.get("/".join(parts[2:4]))
            if files is None:
                self.answer(404, {"error": "no such repository"}, X_Error_Code="RepoNotFound")
                return
            siblings = [{"rfilename": name} for name in files]
            facts = {"id": "/".join(parts[2:4]), "sha": COMMIT, "siblings": siblings}
            tree = [
                {"type": "file", "path": name, "size": len(data), "oid": "0" * 40}
                for name, data in files.items()
            ]
            self.answer(200, tree if "tree" in parts else facts)
            return
        files = self.server.repositories.get("/".join(parts[:2]), {})
        data = files.get("/".join(parts[4:]))
        if data is None:
            self.answer(404, {"error": "no such file"}, X_Error_Code="EntryNotFound")
            return
        tag = hashlib.sha256(data).hexdigest()
        self.answer(200, data, ETag=f'"{tag}"', X_Repo_Commit=COMMIT)

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def do_POST(self) -> None:
        self.server.requests.append(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else self.chunks()
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts[-1] == "create":
            facts = json.loads(body)
            name = (
                f"{facts['organization']}/{facts['name']}"
                if facts.get("organization")
                else facts["name"]
            )
            self.server.repositories.setdefault(name, {})
            self.answer(200, {"url": f"http://127.0.0.1/{name}"})
        elif "preupload" in parts:
            names = [file["path"] for file in json.loads(body)["files"]]
            modes = [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names]
            self.answer(200, {"files": modes})
        elif "commit" in parts:
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    value = entry["value"]
                    files = self.server.repositories["/".join(parts[2:4])]
                    files[value["path"]] = base64.b64decode(value["content"])
            url = f"http://127.0.0.1/{'/'.join(parts[2:4])}/commit/{COMMIT}"
            self.answer(200, {"success": True, "commitOid": COMMIT, "commitUrl": url})
        else:
            self.answer(200, {})

    def chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        return body


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def run(hub: Hub | None, home: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run Python as a user of this Hub; without one, as a user without a connection."""
    port = hub.server_port if hub else 9
    environment = {
        **os.environ,
        "HF_ENDPOINT": f"http://127.0.0.1:{port}",
        "HF_HOME": str(home),
        "HF_TOKEN": "hf_test",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "0" if hub else "1",
        "NO_PROXY": "*",
    }
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=150, check=False
    )


FETCH = """
import sys
from aleph.errors import AlephError
from aleph.models.zoo import load_model
try:
    print(load_model(sys.argv[1] if len(sys.argv) > 1 else "hf://ann/faces", "cpu", "fp32").name)
except AlephError as error:
    sys.exit(f"refused: {error}")
"""


def share(hub: Hub, folder: Path) -> None:
    """Put a model folder on the Hub, and beside it what must not be fetched."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    hub.repositories["ann/faces"] = {**files, "pytorch_model.bin": b"a pickle"}


def test_a_model_is_fetched_by_its_name_and_used_again_without_a_connection(
    hub: Hub, tiny_folder: Path, tmp_path: Path
) -> None:
    share(hub, tiny_folder)
    first = run(hub, tmp_path, FETCH)
    assert first.stdout.strip() == f"hf://ann/faces@{COMMIT}", first.stderr
    assert not any("pytorch_model.bin" in path for path in hub.requests)
    again = run(None, tmp_path, FETCH)
    assert again.stdout == first.stdout, again.stderr


def test_nothing_is_asked_of_the_hub_for_a_model_that_is_here(
    hub: Hub, tiny_folder: Path, tmp_path: Path
) -> None:
    outcome = run(hub, tmp_path, FETCH.replace("hf://ann/faces", str(tiny_folder)))
    assert outcome.returncode == 0, outcome.stderr
    assert hub.requests == []


def test_what_cannot_be_fetched_is_one_sentence(hub: Hub, tmp_path: Path) -> None:
    for outcome in (run(hub, tmp_path, FETCH), run(None, tmp_path, FETCH)):
        assert outcome.returncode == 1
        assert outcome.stderr.startswith("refused: 'hf://ann/faces' cannot be fetched")
        assert len(outcome.stderr.splitlines()) == 1


def test_a_model_is_shared_and_comes_back(hub: Hub, tiny_folder: Path, tmp_path: Path) -> None:
    code = (
        "from aleph.models.hub import push_model\n"
        f"print(push_model({str(tiny_folder)!r}, 'ann/mine'))"
    )
    outcome = run(hub, tmp_path, code)
    assert outcome.stdout.strip() == f"hf://ann/mine@{COMMIT}", outcome.stderr
    names = {"config.json", "model.safetensors", "README.md"}
    assert set(hub.repositories["ann/mine"]) == names
    weights = (tiny_folder / "model.safetensors").read_bytes()
    assert hub.repositories["ann/mine"]["model.safetensors"] == weights


def test_only_model_folders_are_shared(hub: Hub, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom aleph.errors import ModelError\n"
        "from aleph.models.hub import push_model\n"
        f"try: push_model({str(tmp_path)!r}, 'ann/mine')\n"
        "except ModelError as error: sys.exit(str(error))"
    )
    assert "is no model folder" in run(hub, tmp_path / "home", code).stderr
    assert hub.requests == []


def test_what_cannot_be_shared_is_one_sentence(tiny_folder: Path, tmp_path: Path) -> None:
    code = (
        "import os, sys\nos.environ['HF_HUB_OFFLINE'] = '0'\n"
        "from aleph.errors import ModelError\nfrom aleph.models.hub import push_model\n"
        f"try: push_model({str(tiny_folder)!r}, 'ann/mine')\n"
        "except ModelError as error: sys.exit(str(error))"
    )
    outcome = run(None, tmp_path, code)
    assert outcome.stderr.startswith("'ann/mine' cannot be written: ")
    assert len(outcome.stderr.splitlines()) == 1


def test_names() -> None:
    assert HubName.parse("hf://ann/faces") == HubName("ann/faces", None)
    assert HubName.parse("hf://ann/faces@v1.2") == HubName("ann/faces", "v1.2")
    for wrong in ("hf://ann", "hf://", "hf://ann/faces@", "hf://a/b/c"):
        with pytest.raises(ModelError, match="names no model on the Hub"):
            HubName.parse(wrong)
