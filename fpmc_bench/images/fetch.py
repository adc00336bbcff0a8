"""Downloading a published archive: only when asked, resumed where it broke off, checked by hash."""

import itertools
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fpmc_bench.errors import DiskError, RunError
from fpmc_bench.images.web_page import is_web_page
from fpmc_bench.storage.folders import make_folder
from fpmc_bench.telling.bars import Bar

if TYPE_CHECKING:
    import requests

CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
CIFAR10_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
CHUNK_BYTES = 2**16
"""Written at a time, and lost at most when a connection breaks."""
TIMEOUT_SECONDS = 30


def fetch(url: str, sha256: str, folder: Path) -> Path:
    """The file of a URL in `folder`, under its own name; one that is there already is checked.

    UsageError where nothing can be written there, DiskError where the disk is full. RunError where
    it can't be fetched, or where its content is not that of the hash. An interrupted download
    leaves a .partial file and goes on from there.
    """
    import pooch
    import requests
    import urllib3

    name = url.rpartition("/")[2]
    partial = folder / f"{name}.partial"

    def resume(address: str, output_file: Any, _: Any) -> None:
        _download(address, partial)
        partial.replace(output_file)

    make_folder(folder, "--to")
    try:
        return Path(pooch.retrieve(url, f"sha256:{sha256}", name, folder, downloader=resume))
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise RunError(
            f"{url} can't be fetched ({type(error).__name__}: {error}); what has arrived is kept, "
            f"repeat the command to go on"
        ) from error
    except OSError as error:
        raise DiskError(
            f"{folder} can't be written into ({error.strerror}); what has arrived is kept: make "
            f"room, and repeat the command to go on"
        ) from error
    except ValueError as error:  # pooch's word for a wrong hash
        raise RunError(
            f"{url} is not the published file: its sha256 is not {sha256}; it was removed"
        ) from error


def _download(url: str, partial: Path) -> None:
    """Append what is missing to `partial`; start over where the server can't continue.

    Bytes are taken as they are sent: some servers call an archive that is compressed a compressed
    answer, and to expand it would make another file of it, of another length.
    """
    import requests

    have = partial.stat().st_size if partial.exists() else 0
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            return  # all of it is there
        _refuse(answer)
        goes_on = answer.status_code == requests.codes.partial_content
        total = int(answer.headers.get("Content-Length", 0)) + (have if goes_on else 0)
        chunks = answer.raw.stream(CHUNK_BYTES, decode_content=False)
        first = next(chunks, b"")
        if not goes_on and is_web_page(first):
            raise RunError(
                f"{url} answers with a web page, not with the file: a login page, say, or one "
                f"about the file; open the address in a browser to see which"
            )
        before = have if goes_on else 0
        with (
            partial.open("ab" if goes_on else "wb") as file,
            Bar("fetching", total or None, "B", done=before, brief=True, scaled=True) as bar,
        ):
            for chunk in itertools.chain([first], chunks):
                file.write(chunk)
                bar.advance(len(chunk))
    if total and partial.stat().st_size < total:
        raise requests.ConnectionError(f"{partial.stat().st_size} of {total} bytes arrived")


def _refuse(answer: "requests.Response") -> None:
    """RunError for an answer that is no file, with what can be done about it."""
    if answer.ok:
        return
    status, url = f"{answer.status_code} {answer.reason}", answer.url
    match answer.status_code:
        case HTTPStatus.NOT_FOUND | HTTPStatus.GONE:
            advice = "nothing is there: check the address, or name another place by --url"
        case HTTPStatus.TOO_MANY_REQUESTS | HTTPStatus.REQUEST_TIMEOUT:
            advice = "the server is busy: repeat the command later"
        case code if code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            advice = "the server is at fault: repeat the command later, or name another by --url"
        case _:
            advice = "the server doesn't give it to you: get it in a browser, or name another --url"
    raise RunError(f"{url} can't be fetched ({status}); {advice}")
