"""run --shard-source: rows that processes compute together, and what becomes of one that breaks."""

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from plans import small_plan
from pretend_device import pretending
from runs import SMALL_SUITE, fpmc_bench, fpmc_bench_process, write_plugin

from fpmc_bench import Source
from fpmc_bench.documents.environment import Environment
from fpmc_bench.documents.record import Record, read_record
from fpmc_bench.engine.machine.placement import placed
from fpmc_bench.engine.parts import part_of
from fpmc_bench.errors import UsageError
from fpmc_bench.fpmc.union import Union
from fpmc_bench.harness.cluster.shards import Shards
from fpmc_bench.harness.dividing import largest_bytes, must_divide
from fpmc_bench.jobs.run import run_suite
from fpmc_bench.results.claims import remarks_on_claim

UNEVEN = """
    import os
    from dataclasses import dataclass
    from typing import ClassVar
    from fpmc_bench import FPMC, hookimpl
    from fpmc_bench.contracts import FPMCDenoiser, FunctionDenoiser
    from fpmc_bench.fpmc import Uniform

    SECOND = os.environ.get("RANK") == "1"

    @dataclass(frozen=True)
    class Breaks(FunctionDenoiser):
        '''Raises in the second process alone.'''
        name: ClassVar[str] = "breaks"
        citation: ClassVar[str] = "none"

        def build(self, setting):
            def denoise(z, sigma):
                if SECOND:
                    raise ValueError("only here")
                return z
            return denoise

    @dataclass(frozen=True)
    class Differs(FPMCDenoiser):
        '''Is no collection in the second process.'''
        name: ClassVar[str] = "differs"
        citation: ClassVar[str] = "none"

        def fpmc(self, setting, sigma):
            return None if SECOND else FPMC(Uniform(setting.shape), Uniform(setting.shape))

    @hookimpl
    def fpmc_denoisers():
        return [Breaks, Differs]
"""
ENTRIES = """
[[entries]]
name = "flipped"
denoiser = "pspc-square"
params = {patch_sizes = [8, 7, 3, 3]}
augmentations = [{name = "hflip"}]
[[entries]]
name = "breaks"
denoiser = "breaks"
[[entries]]
name = "differs"
denoiser = "differs"
"""
WAYS, ROWS = ("alone", "together"), ("optimal", "ls", "flipped")
NEAR = 1e-6
"""Of an item's error, which is in squares of pixel values."""


def test_rows_are_those_of_one_process_and_what_breaks_in_one_fails_in_all(tmp_path: Path) -> None:
    site = write_plugin(tmp_path / "site", "uneven", UNEVEN)
    # without pspc-flex and its maps: the two rows that are left, and one of two passes
    suite = SMALL_SUITE.replace("items = 7", "items = 4").rpartition("[[entries]]")[0]
    (tmp_path / "small.toml").write_text(suite + ENTRIES)
    run = ("run", "small.toml", "--quiet", "-p", "denoiser-mse", "--run-dir")
    chosen = [one for entry in ROWS for one in ("-d", entry)]
    alone = fpmc_bench(*run, "alone", *chosen, cwd=tmp_path, paths=(site,))
    assert alone.returncode == 0, alone.stderr
    options = ("--processes", 2, "--shard-source")
    done = fpmc_bench_process(*run, "together", *options, cwd=tmp_path, paths=(site,))
    assert done.returncode == 1
    assert "ValueError: only here" in done.stderr
    assert "expected an FPMC" in done.stderr
    assert "a part of the source in each" in " ".join(done.stdout.split())
    stems = {path.stem for path in (tmp_path / "together/records").glob("*.json")}
    assert not [stem for stem in stems if stem.startswith(("breaks", "differs"))]
    for stem in (f"{row}.denoiser-mse" for row in ROWS):
        one, two = (read_record(tmp_path / way / f"records/{stem}.json") for way in WAYS)
        assert parts_of(one[0]) == {1}
        assert parts_of(two[0]) == {2}
        assert one[0].provenance == two[0].provenance, "keys are those of one process"
        assert not remarks_on_claim(one[0], one[0].provenance)
        assert "in parts" in remarks_on_claim(two[0], one[0].provenance)[0]
        first, second = (values.by_metric["mse@1"] for _, values in (one, two))
        assert float(np.abs(first - second).max()) <= NEAR


def parts_of(record: Record) -> set[int]:
    return {share.environment.source_parts for share in record.computed}


def test_one_process_has_nothing_to_divide(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--shard-source .* the only one; give --processes 2"):
        run_suite("digits", shard_source=True, run_dir=tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("rooms", "divided"),
    [
        ([("a", 100), ("b", 100)], True),
        ([("a", 200), ("b", 200)], False),  # all of it has room
        ([("a", 200), ("b", 199)], True),  # but not everywhere
        ([("a", 99), ("b", 200)], False),  # a part has none either
        ([("a", 100), ("a", 100)], False),  # one GPU would hold both parts
        ([("", 0), ("", 0)], False),  # images stay in their file
        ([("a", 100), ("", 0)], False),
        ([("a", 68), ("b", 68), ("c", 68)], True),
        ([("a", 67), ("b", 68), ("c", 68)], False),
    ],
)
def test_a_source_is_divided_by_itself_where_gpus_have_room_for_parts_alone(
    rooms: list[tuple[str, int]], divided: bool
) -> None:
    assert must_divide(100, rooms) == divided


def test_images_that_are_yet_to_be_made_need_room_too() -> None:
    entry = {"name": "ls", "denoiser": "wiener"}
    more = {"name": "more", "denoiser": "wiener", "augmentations": [{"name": "hflip"}]}
    plain, augmented = small_plan(entries=[entry]), small_plan(entries=[entry, more])
    assert largest_bytes(plain) == plain.context.dataset.train.nbytes
    assert largest_bytes(augmented) == 2 * largest_bytes(plain)


def test_a_gpu_gets_the_part_alone() -> None:
    images = torch.randint(256, (1000, 3, 4, 4), dtype=torch.uint8)
    plain = Source(images)
    union = Union([plain, Source(images.flip(-1)), Source(images.flip(-2))], plain)
    shards = Shards(1, 4, lambda values, _: values, lambda text: [text])
    first = 256 * images[0].nbytes
    with pretending() as gpu:
        part = placed(part_of(plain, shards), torch.device("cuda:0"))
        assert len(part) == 250
        assert torch.equal(part.images.cpu(), images[250:500])
        assert gpu.to_device_bytes == plain.nbytes / 4 + first
        joined = placed(part_of(union, shards), torch.device("cuda:0"))
        assert cast(Union, joined).parts[0] is part, "what it shares with others lies there once"
        assert gpu.to_device_bytes == 3 * (plain.nbytes / 4 + first)


def test_a_file_says_parts_only_where_there_are_any() -> None:
    facts = {
        "system": "Linux",
        "machine": "x86_64",
        "device": "cpu",
        "cpu_count": 2,
        "threads": 1,
        "processes": 2,
        "memory_budget_bytes": 2**30,
        "versions": {"torch": "2"},
    }
    whole = Environment.model_validate(facts)
    assert whole.model_dump() == facts
    assert "source_parts" not in whole.model_dump_json()
    divided = whole.model_copy(update={"source_parts": 2})
    assert Environment.model_validate_json(divided.model_dump_json()) == divided != whole
