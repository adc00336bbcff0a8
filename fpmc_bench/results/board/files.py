"""Which files belong to a leaderboard's folder, by name; what doesn't belong is a finding.

Not looked into: `earlier`, `ledger`, `logs`, `predictions` and the status of a run, which tables
are not made of, and `studies`, which have commands of their own. Hidden files and systems' own are
passed over.
"""

from collections.abc import Collection
from pathlib import Path

from fpmc_bench.documents.attestation import SUFFIX
from fpmc_bench.documents.failure import FAILURES
from fpmc_bench.documents.manifest import MANIFEST
from fpmc_bench.documents.protocols import PROTOCOLS
from fpmc_bench.documents.status import STATUS
from fpmc_bench.results.board.findings import Finding, Findings
from fpmc_bench.results.trajectories import TRAJECTORIES
from fpmc_bench.storage.walking import walk

NOT_OURS = ("earlier", "ledger", "logs", "predictions", "studies", STATUS)
"""What a run needs, and a leaderboard doesn't."""
BESIDE = (MANIFEST, FAILURES, "README.md")
SIDECARS = (".npz", SUFFIX)
"""Of what lies beside a record's JSON under its name."""


def files_of(directory: Path) -> list[str]:
    """Names of all files that are looked at, below the folder."""
    return [name for name in walk(directory).files if name.partition("/")[0] not in NOT_OURS]


def links(directory: Path, files: Collection[str]) -> Findings:
    """Files that are somewhere else: what is published is in the folder itself."""
    home = directory.resolve()
    text = "it is a link, or in a folder that is one; put the file itself there"
    return [Finding(name, text) for name in files if (home / name).resolve() != home / name]


def strangers(files: Collection[str], rendered: Collection[str]) -> Findings:
    """Files that nothing here has made; `rendered` are those that should be in tables, figures."""
    known = {f"samples/{protocol}.npz" for protocol in PROTOCOLS}
    known |= {*BESIDE, *rendered, f"samples/{TRAJECTORIES}"}
    found = []
    for name in files:
        folder, _, own = name.rpartition("/")
        if name in known:
            continue
        if folder == "records":
            found += _beside_a_record(own, files)
        elif folder in ("tables", "figures"):
            text = "it is not made of these records any more; remove it"
            found.append(Finding(name, text))
        else:
            found.append(Finding(name, "it belongs to no leaderboard; keep it elsewhere"))
    return found


def _beside_a_record(name: str, files: Collection[str]) -> Findings:
    """Of one file among the records: what is wrong with its company."""
    path = Path(name)
    lacks = {suffix: f"records/{path.stem}{suffix}" not in files for suffix in (".json", ".npz")}
    if path.suffix == ".json" and lacks[".npz"]:
        text = f"its items ({path.stem}.npz) are not there; bring them back, or remove it"
    elif path.suffix in SIDECARS and lacks[".json"]:
        text = f"its record ({path.stem}.json) is not there; bring it back, or remove it"
    elif path.suffix in (".json", *SIDECARS):
        return []
    else:
        text = "it is no part of a record; keep it elsewhere"
    return [Finding(f"records/{name}", text)]
