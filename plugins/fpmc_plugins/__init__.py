"""The built-in plugins of fpmc_bench. They use only its public names, as a stranger's would."""
