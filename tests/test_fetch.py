"""`fpmc-bench data fetch` from servers as they are: they break off, recode, or answer otherwise."""

import functools
import gzip
import hashlib
import http.server
import os
import re
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from damage import full_disk
from runs import fpmc_bench

from fpmc_bench.images.fetch import CHUNK_BYTES


class Server(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; knows ranges; breaks off after `limit` bytes, the first time.

    `status`, `head` and `body` are what it answers otherwise.
    """

    protocol_version = "HTTP/1.1"
    limit: int | None = None
    status: int | None = None
    head: dict[str, str]
    body: bytes | None = None
    asked: list[str | None]

    def do_GET(self) -> None:
        content = type(self).body or Path(self.translate_path(self.path)).read_bytes()
        wanted = self.headers.get("Range")
        type(self).asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        if type(self).body:
            start = 0
        self.send_response(type(self).status or (206 if wanted else 200))
        length = {"Content-Length": str(len(content) - start), "Connection": "close"}
        for name, value in {**length, **type(self).head}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        stop = len(content) if type(self).limit is None else type(self).limit
        type(self).limit = None
        chunked = type(self).head.get("Transfer-Encoding") == "chunked"
        part = content[start:stop]
        if chunked:
            part = b"%x\r\n%s\r\n" % (len(part), part)
            part += b"0\r\n\r\n" if stop == len(content) else b""
        self.wfile.write(part)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


Served = tuple[str, bytes, type[Server]]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """An archive at a local address: (url, content, the server's class)."""
    content = gzip.compress(os.urandom(1_000_000))
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "archive.tar.gz").write_bytes(content)
    handler = type("OneServer", (Server,), {"asked": [], "head": {}})
    bound = functools.partial(handler, directory=str(tmp_path / "served"))
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), bound) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/archive.tar.gz", content, handler
        server.shutdown()
        thread.join()


def fetch(url: str, sha256: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    options = ("--to", "got", "--url", url, "--sha256", sha256)
    return fpmc_bench("data", "fetch", "cifar10", *options, cwd=cwd)


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    "head",
    [{}, {"Content-Length": "", "Transfer-Encoding": "chunked"}],
    ids=["of known length", "chunked"],
)
def test_fetch_resumes_and_checks(head: dict[str, str], served: Served, tmp_path: Path) -> None:
    url, content, server = served
    server.limit, server.head = 400_000, head
    broken = fetch(url, sha256_of(content), tmp_path)
    assert broken.returncode == 1
    assert "repeat the command to go on" in broken.stderr
    (left,) = (tmp_path / "got").iterdir()
    assert left.name == "archive.tar.gz.partial"
    done = fetch(url, sha256_of(content), tmp_path)
    assert done.returncode == 0, done.stderr
    first, went_on = server.asked
    assert first is None
    kept = int(str(went_on).removeprefix("bytes=").rstrip("-"))
    assert 400_000 - CHUNK_BYTES < kept <= 400_000
    (path,) = (tmp_path / "got").iterdir()
    assert path.read_bytes() == content
    again = fetch(url, sha256_of(content), tmp_path)  # what is there is not fetched again
    assert again.returncode == 0
    assert len(server.asked) == 2


def test_fetch_refuses_another_file(served: Served, tmp_path: Path) -> None:
    done = fetch(served[0], "0" * 64, tmp_path)
    assert done.returncode == 1
    assert "is not the published file" in done.stderr
    assert list((tmp_path / "got").iterdir()) == []


def test_an_archive_that_the_server_calls_a_compressed_answer(
    served: Served, tmp_path: Path
) -> None:
    """As servers do that know .gz as an encoding: what is sent is the file itself."""
    url, content, server = served
    server.head, server.limit = {"Content-Encoding": "gzip"}, 400_000
    assert fetch(url, sha256_of(content), tmp_path).returncode == 1  # cut short
    done = fetch(url, sha256_of(content), tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "got" / "archive.tar.gz").read_bytes() == content


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (404, r"404 Not Found\); nothing is there: check the address"),
        (403, r"403 Forbidden\); the server doesn't give it to you: get it in a browser"),
        (503, r"503 Service Unavailable\); the server is at fault: repeat the command later"),
    ],
    ids=["404", "403", "503"],
)
def test_an_answer_without_the_file(
    status: int, advice: str, served: Served, tmp_path: Path
) -> None:
    url, content, server = served
    server.status = status
    done = fetch(url, sha256_of(content), tmp_path)
    assert done.returncode == 1
    assert re.search(advice, done.stderr), done.stderr
    assert "repeat the command to go on" not in done.stderr


def test_a_login_page_is_called_one_and_leaves_what_has_arrived(
    served: Served, tmp_path: Path
) -> None:
    url, content, server = served
    server.limit = 400_000
    fetch(url, sha256_of(content), tmp_path)
    server.status, server.body = 200, b"<!DOCTYPE html><html>Log in to the network</html>"
    done = fetch(url, sha256_of(content), tmp_path)
    assert done.returncode == 1
    assert "answers with a web page, not with the file: a login page, say" in done.stderr
    server.status = server.body = None
    assert fetch(url, sha256_of(content), tmp_path).returncode == 0
    assert str(server.asked[-1]).startswith("bytes=")


def test_a_full_disk_is_one_line_and_the_download_goes_on(served: Served, tmp_path: Path) -> None:
    url, content, _ = served
    with full_disk(500_000):
        full = fetch(url, sha256_of(content), tmp_path)
    assert full.returncode == 1
    (line,) = full.stderr.strip().splitlines()
    assert re.fullmatch(r"fpmc-bench: got can't be written into \(.+\).*: make room, .*", line)
    assert fetch(url, sha256_of(content), tmp_path).returncode == 0
    assert (tmp_path / "got/archive.tar.gz").read_bytes() == content
