"""Which rows have their record already, so that nothing of them is computed or written again."""

import json
import logging
from functools import lru_cache

from fpmc_bench.documents.record import Record, read_record
from fpmc_bench.errors import RunError
from fpmc_bench.harness.cluster.processes import Processes
from fpmc_bench.harness.plan import Contestant
from fpmc_bench.harness.predictions import has_predictions
from fpmc_bench.harness.rundir import RunDirectory
from fpmc_bench.harness.units import Workload, WorkUnit, rows_of
from fpmc_bench.results.checks import refuse_altered
from fpmc_bench.results.table import RANKED_BY

log = logging.getLogger(__name__)


def standing_record(
    workload: Workload, directory: RunDirectory, contestant: Contestant, protocol: str
) -> Record | None:
    """The record of a row that lies there, whole, with the provenance and groups it would have now.

    But for what products cost, where the row is a network's, which has none of these products. One
    that is damaged, or states other figures than its items have, is said, once a process.
    """
    path = directory.records / f"{contestant.name}.{protocol}.json"
    if not path.exists():
        return None
    try:
        record, values = read_record(path)
        refuse_altered(record, values, RANKED_BY)
    except RunError as error:
        _say(f"{path} is made anew: {error}")
        return None
    now = workload.provenance(contestant, protocol)
    if record.is_other_network:
        now = now.model_copy(update={"arithmetic": record.provenance.arithmetic})
    stated = (record.stem, record.suite_fingerprint, record.provenance.key)
    expected = (path.stem, workload.plan.suite.fingerprint, now.key)
    grouped = values.is_grouped_by(workload.groups(protocol))
    return record if stated == expected and grouped else None


def remaining_units(
    workload: Workload, directory: RunDirectory, processes: Processes, *, predictions: bool = False
) -> dict[str, list[WorkUnit]]:
    """The units of rows that have no record yet, by protocol, as the main process finds them.

    With `predictions` those of rows that lack these, too.
    """
    rows = {protocol: rows_of(workload, protocol) for protocol in workload.plan.suite.protocols}
    lacking = [
        f"{row.name}.{protocol}"
        for protocol, units in rows.items()
        for row in (units if processes.is_main else ())
        if (record := standing_record(workload, directory, row, protocol)) is None
        or (predictions and not has_predictions(workload, directory, record))
    ]
    asked = set(json.loads(processes.gather(json.dumps(lacking))[0]))
    return {
        protocol: [one for own in units.values() for one in own if one.row in asked]
        for protocol, units in rows.items()
    }


@lru_cache(maxsize=1024)
def _say(line: str) -> None:
    """A record is looked at before the work and after it."""
    log.warning(line)
