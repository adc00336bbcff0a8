"""The four networks that come with fpmc_bench: two architectures for each embedded dataset.

`fpmc-bench teacher train` wrote their files; `fpmc-bench teacher info NAME` shows how.
"""

from fpmc_bench import hookimpl
from fpmc_bench.contracts import Teacher
from fpmc_plugins.teachers.ddpmpp import DigitsDDPMpp, PhotosDDPMpp
from fpmc_plugins.teachers.ncsnpp import DigitsNCSNpp, PhotosNCSNpp


@hookimpl
def fpmc_teachers() -> list[type[Teacher]]:
    return [DigitsDDPMpp, DigitsNCSNpp, PhotosDDPMpp, PhotosNCSNpp]
