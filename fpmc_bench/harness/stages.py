"""The stages of a run: test images, references, sensitivity maps and rows, each with its bar."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from tqdm.auto import tqdm

from fpmc_bench.harness.units import WorkUnit
from fpmc_bench.harness.workers import Progress, Workbench


def execute(bench: Workbench, remaining: Mapping[str, Sequence[WorkUnit]], progress: bool) -> None:
    """Compute units that are lacking, by protocol, and all they need, into the bench's ledger.

    Stage by stage, between which processes meet. Raises where references can't be had.
    """
    workload, processes = bench.workload, bench.processes
    plan, visible = workload.plan, progress and processes.is_main
    if workload.samples_test_images and any(remaining.values()):
        with _bar("test images", len(workload.blocks()), visible) as report:
            bench.sample_test_images(report)
        processes.wait()
    for protocol, units in remaining.items():
        asked = {unit.items for unit in units}
        references = [one for one in workload.references(protocol) if one.items in asked]
        with _bar(f"{protocol}: reference", len(references), visible) as report:
            bench.run_references(references, report)
        processes.wait()
        if any("sensitivity" in unit.contestant.needs for unit in units):
            with _bar("sensitivity maps", len(plan.context.sigmas), visible) as report:
                bench.run_sensitivity(report)
            processes.wait()
        with _bar(protocol, len(units), visible) as report:
            bench.run_rows(units, references, report)
        processes.wait()


@contextmanager
def _bar(label: str, total: int, visible: bool) -> Iterator[Progress]:
    """A progress bar with the time remaining, told the number of finished units."""
    with tqdm(total=total, desc=label, unit="block", disable=not visible, leave=False) as bar:

        def report(finished: int) -> None:
            bar.update(finished - bar.n)

        yield report
