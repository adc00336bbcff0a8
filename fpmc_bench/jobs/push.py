"""push: a leaderboard that was checked, uploaded to a hub as a dataset, with a card."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fpmc_bench.documents.record import read_records
from fpmc_bench.errors import RunError, UsageError
from fpmc_bench.results.board.check import check
from fpmc_bench.results.board.files import files_of
from fpmc_bench.results.reading import read_tables
from fpmc_bench.results.render.markdown import render_markdown

if TYPE_CHECKING:
    from huggingface_hub import HfApi

CARD = "README.md"
MIRRORED = ["records/*", "samples/*", "tables/*", "figures/*", "*.json"]
"""What an earlier push may have left there, and this one has not, goes."""
REASONS = {
    401: "it knows no such token, or none was given: log in with 'hf auth login', or set HF_TOKEN",
    403: "the token may not write there: it needs the right to write, and REPO to be OWNER/NAME",
    404: "there is no such owner, or the token may not see it: REPO is OWNER/NAME",
}


@dataclass(frozen=True)
class Pushed:
    """What was uploaded, or would be: names below the leaderboard's folder, and where to see it."""

    repo: str
    files: tuple[str, ...]
    url: str


def push(
    directory: str | Path,
    repo: str,
    *,
    private: bool = False,
    dry_run: bool = False,
    endpoint: str | None = None,
) -> Pushed:
    """Upload a run directory to the dataset OWNER/NAME of a hub, made where it is not there.

    The token is the library's: HF_TOKEN, or that of 'hf auth login'. `endpoint`: of another hub
    than the library's own. With `dry_run` nothing is asked of any hub. RunError where the check of
    the folder finds a fault, and where the hub refuses or can't be reached; UsageError where it can
    have no such name.
    """
    folder = Path(directory)
    if faults := check(folder).faults:
        raise RunError(
            f"{folder} is not pushed, for {len(faults)} of it is not as it should be, first "
            f"{faults[0]}; 'fpmc-bench leaderboard check {folder}' lists all"
        )
    api = _api(endpoint, repo)
    url = f"{api.endpoint}/datasets/{repo}"
    files = tuple(sorted({*files_of(folder), CARD}))
    if dry_run:
        return Pushed(repo, files, url)
    with tempfile.TemporaryDirectory() as beside:
        for name in files_of(folder):
            target = Path(beside) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, target)
        (Path(beside) / CARD).write_text(card(folder, repo), encoding="utf-8")
        try:
            api.create_repo(repo, repo_type="dataset", private=private, exist_ok=True)
            api.upload_folder(
                repo_id=repo,
                folder_path=beside,
                repo_type="dataset",
                commit_message=f"{folder.resolve().name}: {len(files)} files of a leaderboard",
                delete_patterns=MIRRORED,
            )
        except Exception as error:  # the library's and its transport's, of many kinds
            raise RunError(_reason(error, repo, api.endpoint)) from error
    return Pushed(repo, files, url)


def card(directory: Path, repo: str) -> str:
    """A dataset card: what the hub reads at its head, how to check it, and the tables.

    RunError as `read_tables`.
    """
    tables = read_tables(directory)
    record, _ = read_records(directory / "records")[0]
    head = "---\ntags:\n- benchmark\n- diffusion\n- fpmc-bench\nviewer: false\n---\n"
    return "\n".join(
        [
            head,
            f"# {record.suite}: a leaderboard of fpmc-bench\n",
            "Denoisers beside trained networks, measured item by item on the same images and "
            "noise. Figures follow from the items in `records/`; anybody can compute them anew:\n",
            f"    hf download {repo} --repo-type dataset --local-dir {record.suite}",
            f"    fpmc-bench leaderboard check {record.suite}",
            f"    fpmc-bench verify {record.suite}\n",
            *map(render_markdown, tables),
        ]
    )


def _api(endpoint: str | None, repo: str) -> "HfApi":
    """Imported only here: it takes a second."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise UsageError(f"'{repo}' can't be the name of a dataset: {error}") from error
    return HfApi(endpoint=endpoint)


def _reason(error: Exception, repo: str, endpoint: str) -> str:
    """A line of what the hub answered; not its words, which may repeat what it was sent."""
    from huggingface_hub.errors import LocalTokenNotFoundError, OfflineModeIsEnabled

    response: Any = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if isinstance(error, LocalTokenNotFoundError):
        status = 401
    if status is not None:
        said = REASONS.get(status, "try again later, or look at the page of its state")
        return f"{repo} was not pushed: {endpoint} answered {status}; {said}"
    if isinstance(error, OfflineModeIsEnabled):
        return f"{repo} was not pushed: HF_HUB_OFFLINE forbids it; unset it"
    return (
        f"{repo} was not pushed: {endpoint} can't be reached ({type(error).__name__}); look at "
        f"your network and at HF_ENDPOINT, and give the command again"
    )
