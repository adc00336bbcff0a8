"""Leaderboards for the tests of the site: a plausible one, and one whose every text is hostile."""

import json
from pathlib import Path

import numpy as np
from synthetic_records import (
    EXACT_SIGMAS,
    PUBLICATION,
    attest,
    write_exact_records,
    write_synthetic,
)

from fpmc_bench.documents.failure import Failure, write_failures
from fpmc_bench.documents.suite import validated_suite
from fpmc_bench.results.render.sample_grid import ORDER
from fpmc_bench.results.trajectories import Trajectories, write_trajectories
from fpmc_bench.storage.arrays import write_arrays

HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(2)>\" onload=alert(3) '"
    "<a href='javascript:alert(4)'>b</a> {{ 7*7 }} ${7*7} %{x} &lt;i&gt; \u2028 \u202egnp"
)
"""Text that does something on a page which takes it for more than text."""
FOLDER = "<b> ü #1% a+b'\""
SIDE = 4


def write_board(folder: Path) -> Path:
    """Both protocols, four entries, with samples, trajectories and an attestation."""
    write_exact_records(folder / "records")
    attest(folder / "records" / "ls.denoiser-mse.json")
    names = ["teacher_b", "teacher-a", "optimal", "ls", "els", "pspc_50"]
    write_images(folder, names)
    return folder


def write_images(folder: Path, names: list[str], labels: list[str] | None = None) -> None:
    """Samples and trajectories of rows of these names; `labels` where samples have others."""
    random = np.random.RandomState(0)
    labels = labels or names
    samples = {name: random.uniform(-1, 1, (3, 1, SIDE, SIDE)).astype("f4") for name in labels}
    order = {ORDER: np.array(json.dumps(labels))}
    write_arrays(folder / "samples" / "sample-mse.npz", {**samples, **order}, compressed=True)
    shape = (2, 2, len(EXACT_SIGMAS), 1, SIDE, SIDE)
    rows = {name: random.randint(0, 256, shape).astype(np.uint8) for name in names}
    found = Trajectories(EXACT_SIGMAS, rows)
    write_trajectories(folder / "samples" / "trajectories.npz", found)


def write_hostile_board(folder: Path) -> Path:
    """Names of rows can hold little; all else that somebody may write down holds HOSTILE."""
    suite = validated_suite(
        {
            "name": "hostile",
            "description": HOSTILE,
            "dataset": {"name": HOSTILE},
            "teachers": {"tuning": "a", "evaluation": "b"},
            "items": 4,
            "entries": [{"name": "con", "denoiser": HOSTILE}],
        },
        "a test",
    )
    content = {"fingerprint": suite.fingerprint, "suite": json.loads(suite.model_dump_json())}
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(content))
    entries = ("con", "A+b", "a+b", "index", "other")
    for place, entry in enumerate(entries, start=1):
        errors = np.full((4, len(EXACT_SIGMAS)), place / 8) + np.arange(4)[:, None] / 64
        write_synthetic(
            folder / "records",
            entry,
            {"mse@1": errors, "r2@1": 1 - errors},
            suite="hostile",
            suite_fingerprint=suite.fingerprint,
            reference=HOSTILE,
            role="other network" if entry == "other" else "entry",
            provenance={
                "params": {HOSTILE: HOSTILE, "by_level": [HOSTILE] * len(EXACT_SIGMAS)},
                "denoiser": HOSTILE,
                "device": HOSTILE,
            },
            remarks=(HOSTILE,),
            publication=PUBLICATION.model_copy(
                update={
                    **dict.fromkeys(("citation", "command", "date_utc", "formula"), HOSTILE),
                    "url": "javascript:alert(5)" if place % 2 else f"https://x.org/{HOSTILE}",
                }
            ),
        )
    failed = Failure(entry="broken", protocol="denoiser-mse", reason=HOSTILE)
    write_failures(folder, [failed])
    return folder
