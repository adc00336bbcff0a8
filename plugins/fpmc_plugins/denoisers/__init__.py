"""The methods of the paper's Table 1 and our own, one file each."""

from fpmc_bench import hookimpl
from fpmc_bench.contracts import Denoiser
from fpmc_plugins.denoisers.els import EquivariantLocalScore
from fpmc_plugins.denoisers.finetuned import Finetuned
from fpmc_plugins.denoisers.ls import LocalScore
from fpmc_plugins.denoisers.lukoianov import Lukoianov
from fpmc_plugins.denoisers.optimal import Optimal
from fpmc_plugins.denoisers.pspc_flex import PspcFlex
from fpmc_plugins.denoisers.pspc_square import PspcSquare
from fpmc_plugins.denoisers.wiener import Wiener
from fpmc_plugins.denoisers.windows import Windows


@hookimpl
def fpmc_denoisers() -> list[type[Denoiser]]:
    return [
        Optimal,
        Wiener,
        LocalScore,
        EquivariantLocalScore,
        PspcSquare,
        PspcFlex,
        Lukoianov,
        Windows,
        Finetuned,
    ]
