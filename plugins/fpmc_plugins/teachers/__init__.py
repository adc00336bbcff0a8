"""The networks that denoisers are measured against.

Four come with fpmc_bench, two architectures for each embedded dataset: `fpmc-bench teacher train`
wrote their files, `fpmc-bench teacher info NAME` shows how. Six were published with EDM, two for
each of its unconditional datasets: their files are fetched by the user.
"""

from fpmc_bench import hookimpl
from fpmc_bench.contracts import Teacher
from fpmc_plugins.teachers.ddpmpp import DigitsDDPMpp, PhotosDDPMpp
from fpmc_plugins.teachers.edm_afhqv2 import EDMAFHQv2DDPMpp, EDMAFHQv2NCSNpp
from fpmc_plugins.teachers.edm_cifar10 import EDMCifar10DDPMpp, EDMCifar10NCSNpp
from fpmc_plugins.teachers.edm_ffhq64 import EDMFFHQDDPMpp, EDMFFHQNCSNpp
from fpmc_plugins.teachers.ncsnpp import DigitsNCSNpp, PhotosNCSNpp


@hookimpl
def fpmc_teachers() -> list[type[Teacher]]:
    return [
        DigitsDDPMpp,
        DigitsNCSNpp,
        PhotosDDPMpp,
        PhotosNCSNpp,
        EDMCifar10DDPMpp,
        EDMCifar10NCSNpp,
        EDMFFHQDDPMpp,
        EDMFFHQNCSNpp,
        EDMAFHQv2DDPMpp,
        EDMAFHQv2NCSNpp,
    ]
