"""`python -m fpmc_bench` is `fpmc-bench`."""

from fpmc_bench.cli import main

if __name__ == "__main__":
    main()
