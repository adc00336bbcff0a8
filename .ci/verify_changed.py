#!/usr/bin/env python3
"""Compute items anew of the leaderboards' rows that this branch changed: BASE [--items N] [--list].

Rows are those with a changed file among their leaderboard's records. File names are anybody's: they
come from git ended by zeros, only those that can be a row's are taken, and no shell sees them.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterable

ROW_FILE = re.compile(
    r"(?P<board>leaderboards/[A-Za-z0-9][A-Za-z0-9._-]*)/records/"
    r"(?P<entry>[A-Za-z0-9][A-Za-z0-9._+-]*)\.(?P<protocol>[a-z0-9-]+)\.(json|npz|attestation)"
)


def main() -> int:
    """Exit status 1 where a row does not agree, or can't be computed here."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", help="The commit that the branch began at, or a branch.")
    parser.add_argument("--items", type=int, default=16)
    parser.add_argument("--list", action="store_true", help="Only say which rows changed.")
    given = parser.parse_args()
    failed = False
    for board, entries in changed_rows(changed_files(given.base)).items():
        print(f"{board}: {', '.join(entries)}", flush=True)
        if not given.list:
            chosen = [word for entry in entries for word in ("--entry", entry)]
            command = ["verify", board, "--items", str(given.items), "--no-attest", *chosen]
            done = subprocess.run([sys.executable, "-m", "fpmc_bench", *command], check=False)
            failed |= done.returncode != 0
    return 1 if failed else 0


def changed_files(base: str) -> list[str]:
    """Names of files below leaderboards/ that differ from where the branch began and are there."""
    commit = _git("rev-parse", "--verify", "--end-of-options", f"{base}^{{commit}}").strip()
    options = ("--name-only", "-z", "--no-renames", "--diff-filter=d")
    listed = _git("diff", *options, f"{commit}...HEAD", "--", "leaderboards/")
    return [name for name in listed.split("\0") if name]


def changed_rows(files: Iterable[str]) -> dict[str, list[str]]:
    """Leaderboard -> its entries with changed files; of other names `leaderboard check` speaks."""
    found: dict[str, set[str]] = {}
    for match in map(ROW_FILE.fullmatch, files):
        if match is not None:
            found.setdefault(match["board"], set()).add(match["entry"])
    return {board: sorted(entries) for board, entries in sorted(found.items())}


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, check=True)
    return done.stdout.decode("utf-8", "surrogateescape")


if __name__ == "__main__":
    sys.exit(main())
