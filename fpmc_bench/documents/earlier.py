"""Records that others replace: they move to a name of their own in `earlier`, and none is lost."""

from pathlib import Path

from fpmc_bench.documents.attestation import SUFFIX
from fpmc_bench.storage.keys import content_key

EARLIER = "earlier"
KEY_SHOWN = 8


def set_aside(run_dir: Path, stem: str) -> Path | None:
    """Move the record of a row, its items and what attests it; the folder where they lie now.

    None where there is no such record.
    """
    record = run_dir / "records" / f"{stem}.json"
    if not record.is_file():
        return None
    folder = run_dir / EARLIER
    folder.mkdir(exist_ok=True)
    key = content_key(record.read_text(errors="replace"), letters=KEY_SHOWN)
    for path in (record.with_suffix(SUFFIX), record.with_suffix(".npz"), record):
        if path.is_file():
            path.replace(folder / f"{stem}.{key}{path.suffix}")
    return folder
