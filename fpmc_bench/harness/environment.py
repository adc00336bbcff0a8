"""The machine and versions behind a record's figures."""

import importlib.metadata
import os
import platform
from typing import Any

import torch

import fpmc_bench
from fpmc_bench.engine import EngineSettings
from fpmc_bench.harness.processes import Processes


def describe_environment(processes: Processes, settings: EngineSettings) -> dict[str, Any]:
    """Versions, device, threads, processes and how the engine worked: plain data for a record."""
    device = processes.device
    return {
        "fpmc_bench": fpmc_bench.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": importlib.metadata.version("numpy"),
        "platform": platform.system(),
        "machine": platform.machine(),
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else "cpu",
        "cpu_count": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processes": processes.world,
        "memory_budget_bytes": settings.budget_bytes,
        "arithmetic": settings.arithmetic_on(device).describe(),
    }
