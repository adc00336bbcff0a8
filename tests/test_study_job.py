"""A study in one process: what it loads, what it calls its weights, and what it is made of."""

from pathlib import Path

import pytest
from plans import small_suite

from fpmc_bench.catalog import context as context_module
from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.documents.record import read_records
from fpmc_bench.documents.study import validated_study
from fpmc_bench.documents.suite import read_suite
from fpmc_bench.jobs.study import StudyJob

STUDY = validated_study(
    {
        "name": "small-study",
        "view": "table",
        "protocols": ["denoiser-mse"],
        "rows": [
            {"name": "plain", "base": "ls"},
            {"name": "ls+q", "base": "ls", "axes": ["q"]},
            {
                "name": "ls+q+hflip",
                "base": "ls",
                "axes": ["q"],
                "augmentations": [{"name": "hflip", "rate": 0.1}],
            },
        ],
        "settings": {"steps": 2, "batch": 4, "validation_items": 4, "evaluate_every": 2},
    },
    "the study",
)
SUITE = small_suite(
    entries=[{"name": "ls", "denoiser": "ls", "params": {"patch_sizes": [15, 7, 3, 3]}}],
    items=4,
)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is loaded, in order."""
    names: list[str] = []
    for name in ("load_dataset", "load_teacher"):
        original = getattr(context_module, name)

        def load(what: str, *more: object, original=original, **named: object) -> object:  # type: ignore[no-untyped-def]
            names.append(what)
            return original(what, *more, **named)

        monkeypatch.setattr(context_module, name, load)
    return names


def test_images_and_networks_are_loaded_once_and_weights_go_by_name(
    tmp_path: Path, loads: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    job = StudyJob(STUDY, SUITE, tmp_path / "study", installed_registry(), "cpu", progress=False)
    outcome = job.run()
    assert (outcome.failures, outcome.stopped) == ({}, ())
    assert loads == ["digits-ddpmpp", "digits-ncsnpp", "digits"]
    records = {record.entry: record for record, _ in read_records(tmp_path / "study/run/records")}
    assert set(records) == {"digits-ncsnpp", "plain", "ls+q", "ls+q+hflip"}
    provenance = {name: record.provenance for name, record in records.items()}
    assert provenance["ls+q"].params == {"weights": "small-study:ls+q"}
    assert provenance["ls+q"].files == provenance["ls+q+hflip"].files != ""
    assert [one.augmentation for one in provenance["ls+q+hflip"].source.added] == ["hflip"]
    assert provenance["plain"].params == {"patch_sizes": [15, 7, 3, 3]}
    (tmp_path / "study/study.json").write_text("")  # as a power cut leaves it
    assert job.run().run.records == outcome.run.records
    assert "study.json is damaged" in caplog.text
    answer, paths = job.answer(outcome)
    assert "ls+q+hflip" in answer.text
    assert all(path.is_file() for path in paths.values())
    for file in (tmp_path / "study").rglob("*.json"):
        assert str(tmp_path) not in file.read_text()


def test_the_shipped_suites_name_no_place() -> None:
    for registered in installed_registry().items["suites"].values():
        suite = read_suite(registered.item)
        assert "/" not in suite.model_dump_json(exclude={"description"})
