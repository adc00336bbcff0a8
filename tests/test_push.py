"""`leaderboard push` by huggingface_hub's own upload, to a hub that stands on this machine."""

import base64
import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from boards import changed, drawn_once
from runs import fpmc_bench

from fpmc_bench.errors import RunError, UsageError
from fpmc_bench.jobs.push import push

BOARD = Path(__file__).parents[1] / "leaderboards" / "photos"
TOKEN = "hf_a-token-that-nobody-has"
REPO = "me/photos"
OID = "0" * 40


_drawn_once = pytest.fixture(autouse=True)(drawn_once)


@dataclass
class Hub:
    """The routes that an upload asks for; what was asked, and what is kept."""

    endpoint: str = ""
    status: int = 200
    """Of every answer."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)
    created: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def answer(self, method: str, path: str, body: bytes) -> Any:
        """JSON of one request."""
        self.asked.append((method, path))
        route = path.partition("?")[0].removeprefix("/api/")
        if route == "repos/create":
            self.created = json.loads(body)
            return {"url": f"{self.endpoint}/datasets/{REPO}", "id": REPO}
        if route == "validate-yaml":
            return {"errors": [], "warnings": []}
        if route == f"datasets/{REPO}/preupload/main":
            names = [one["path"] for one in json.loads(body)["files"]]
            return {"files": [_regular(name) for name in names]}
        if route == f"datasets/{REPO}/commit/main":
            self._commit([json.loads(line) for line in body.splitlines()])
            return {"commitUrl": f"{self.endpoint}/datasets/{REPO}/commit/{OID}", "commitOid": OID}
        if route.startswith(f"datasets/{REPO}/tree/main"):
            return [
                {"type": "file", "path": name, "size": len(content), "oid": OID}
                for name, content in self.files.items()
            ]
        if route.startswith(f"datasets/{REPO}"):
            return {"id": REPO, "sha": OID, "siblings": []}
        raise AssertionError(f"{method} {path} was not foreseen")

    def _commit(self, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                self.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "deletedFile":
                del self.files[value["path"]]
            else:
                assert line["key"] == "header"


def _regular(name: str) -> dict[str, Any]:
    return {"path": name, "uploadMode": "regular", "shouldIgnore": False, "oid": None}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    stand_in = Hub()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            stand_in.tokens.add(self.headers.get("Authorization"))
            status, answer = stand_in.status, {"error": TOKEN}
            try:
                answer = stand_in.answer(self.command, self.path, self.body()) or answer
            except Exception as error:  # is not tried again, as no answer would be
                status, answer = 400, {"error": repr(error)}
            content = json.dumps(answer if status == 200 else {"error": TOKEN}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815

        def body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def log_message(self, *_: object) -> None:
            """Nothing on stderr."""

    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        stand_in.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        yield stand_in
        server.shutdown()
        thread.join()


def test_a_leaderboard_is_uploaded_as_it_is_with_a_card(hub: Hub) -> None:
    hub.files["records/of-before.sample-mse.json"] = b"{}"
    done = push(BOARD, REPO, private=True, endpoint=hub.endpoint)
    assert done.url == f"{hub.endpoint}/datasets/{REPO}"
    assert set(hub.files) == set(done.files), "what is not there any more goes"
    for name, content in hub.files.items():
        if name != "README.md":
            assert content == (BOARD / name).read_bytes()
    assert not any(name.startswith(("studies", "ledger", ".")) for name in hub.files)
    card = hub.files["README.md"].decode()
    assert card.startswith("---\ntags:\n")
    assert "fpmc-bench leaderboard check photos" in card
    assert "photos: sample-mse" in card
    assert not (BOARD / "README.md").exists()
    created = hub.created
    whose = (created["name"], created["organization"], created["type"])
    assert whose == ("photos", "me", "dataset")
    assert created.get("private") or created.get("visibility") == "private"
    assert hub.tokens <= {f"Bearer {TOKEN}"}


@pytest.mark.parametrize(("status", "said"), [(401, "log in"), (403, "write"), (404, "OWNER/NAME")])
def test_what_the_hub_refuses_is_a_line_without_the_token(hub: Hub, status: int, said: str) -> None:
    hub.status = status
    with pytest.raises(RunError, match=f"answered {status}; .*{said}") as refusal:
        push(BOARD, REPO, endpoint=hub.endpoint)
    assert TOKEN not in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not hub.files


def test_no_network_is_a_line() -> None:
    with pytest.raises(RunError, match="can't be reached"):
        push(BOARD, REPO, endpoint="http://127.0.0.1:9")


def test_a_name_that_no_dataset_has_is_refused_before_anybody_is_asked(hub: Hub) -> None:
    with pytest.raises(UsageError, match="can't be the name of a dataset"):
        push(BOARD, "a/b/c", endpoint=hub.endpoint)
    assert hub.asked == []


def test_what_is_not_as_it_should_be_is_not_pushed(hub: Hub, tmp_path: Path) -> None:
    board = shutil.copytree(BOARD, tmp_path / "board")
    changed(
        board / "records" / "ls.sample-mse.json",
        lambda content: content["figures"]["mse@1"].update(mean=0.001),
    )
    with pytest.raises(RunError, match=r"is not pushed, for .*is stated as"):
        push(board, REPO, endpoint=hub.endpoint)
    assert hub.asked == []


def test_the_command_asks_nobody_where_it_is_only_tried(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.endpoint)
    asked = ("leaderboard", "push", BOARD, "--hub", REPO)
    tried = fpmc_bench(*asked, "--dry-run", cwd=BOARD)
    assert tried.returncode == 0, tried.stderr
    assert hub.asked == []
    names = tried.stdout.splitlines()
    assert {"README.md", "run.json", "tables/sample-mse.md"} < set(names)
    hub.status = 401
    refused = fpmc_bench(*asked, cwd=BOARD)
    assert refused.returncode == 1
    assert f"{hub.endpoint} answered 401" in refused.stderr
    assert TOKEN not in refused.stderr + refused.stdout
