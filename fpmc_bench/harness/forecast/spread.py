"""How far the items of a row are apart, by a few of them: what standard error a table will have."""

import math
from collections.abc import Mapping
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from fpmc_bench.contracts import DenoiseFunction, TeacherModel
from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.protocols import protocol_facts
from fpmc_bench.harness.ledger import Ledger
from fpmc_bench.harness.plan import Plan
from fpmc_bench.harness.units import Workload, WorkUnit, rows_of
from fpmc_bench.protocols import prediction_of
from fpmc_bench.protocols.metrics import METRICS
from fpmc_bench.protocols.problem import checked
from fpmc_bench.results.summaries import figure_of

METRIC = "mse@1"
"""By which tables are sorted, and whose standard error a plan tells."""
FEWEST_ITEMS = 4
"""By which the spread of a row's items is told."""
Errors = NDArray[np.float64]


@torch.no_grad()
def first_errors(plan: Plan, unit: WorkUnit, denoise: DenoiseFunction, items: int) -> Errors | None:
    """METRIC of the first so many items of a unit's row, [n,S] or [n], computed for this alone.

    None for fewer than tell anything, and where test images are yet to be sampled.
    """
    protocol, test = unit.provenance.protocol, plan.context.dataset.test
    if items < FEWEST_ITEMS or (protocol_facts(protocol).on_test_images and test is None):
        return None
    problem = plan.problem(protocol, test or plan.context.dataset.train)
    reference = cast(TeacherModel, plan.network(protocol, "reference").denoiser)
    answers = [
        prediction_of(protocol)(asked, problem, range(items))
        for asked in (checked(denoise, unit.contestant.name), reference)
    ]
    found: Errors = METRICS[METRIC](*answers).numpy()
    return found


def standard_errors(
    workload: Workload, ledger: Ledger, few: Mapping[str, Errors], items: int
) -> dict[str, float]:
    """By row, of a table over so many items: as those spread that the ledger has, else a `few`.

    `few` as `first_errors` gives them, [n,S] or [n]. Left out are rows of which nothing is known.
    """
    errors = {}
    for protocol in workload.plan.suite.protocols:
        groups = workload.groups(protocol)
        for units in rows_of(workload, protocol).values():
            row = units[0].row
            there = [(one, found) for one in units if (found := ledger.read(one.key))]
            values = [found.arrays[METRIC] for _, found in there]
            rows = [np.array(one.items) for one, _ in there]
            if row in few and not there:
                values, rows = [few[row]], [np.arange(len(few[row]))]
            if not values:
                continue
            known = np.concatenate(rows)
            own = ItemValues(
                {METRIC: np.concatenate(values)}, None if groups is None else groups[known]
            )
            error = figure_of(own, METRIC).standard_error
            if math.isfinite(error):
                errors[row] = error * math.sqrt(len(known) / items)
    return errors
