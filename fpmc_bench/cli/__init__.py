"""`fpmc-bench`: one file a command, each imported only when it is called or its help is shown.

Exit status: 0 done, 1 something asked for failed, 2 wrong usage; 130 or 143, as a shell sees it,
where Ctrl-C or SIGTERM has ended it.
"""

import importlib
import time
from contextlib import ExitStack
from typing import Any

import click

from fpmc_bench import __version__
from fpmc_bench.cli.printing import echo, replace_what_has_no_code
from fpmc_bench.errors import FpmcBenchError, UsageError
from fpmc_bench.interruptions import leave, stoppable
from fpmc_bench.launched import OTHERS_SPEAK_SECONDS, is_elastic, is_main, is_ours, speaks

COMMANDS = {
    "run": "fpmc_bench.cli.run:run",
    "plan": "fpmc_bench.cli.plan:plan",
    "list": "fpmc_bench.cli.inspect:list_",
    "info": "fpmc_bench.cli.inspect:info",
    "status": "fpmc_bench.cli.status:status",
    "leaderboard": "fpmc_bench.cli.leaderboard:leaderboard",
    "compare": "fpmc_bench.cli.compare:compare",
    "verify": "fpmc_bench.cli.verify:verify",
    "tune": "fpmc_bench.cli.tune:tune",
    "finetune": "fpmc_bench.cli.finetune:finetune",
    "study": "fpmc_bench.cli.study:study",
    "bench": "fpmc_bench.cli.bench:bench",
    "teacher": "fpmc_bench.cli.teacher:teacher",
    "plugin": "fpmc_bench.cli.plugin:plugin",
    "data": "fpmc_bench.cli.data:data",
    "cache": "fpmc_bench.cli.cache:cache",
    "doctor": "fpmc_bench.cli.doctor:doctor",
}


class LazyGroup(click.Group):
    """Commands by name, imported on demand; deliberate errors become one line and a status."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All of them, in the order in which help lists them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now; None where there is none."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def main(self, *arguments: Any, **settings: Any) -> Any:
        """The whole command line, on a terminal of whatever encoding.

        Whatever is to last until nothing more is said is entered into the stack, the context's
        object.
        """
        if is_ours() or is_elastic():
            from fpmc_bench.harness.prints import move_stderr_aside

            move_stderr_aside()
        replace_what_has_no_code()
        with ExitStack() as stack, stoppable(speaks):
            try:
                return super().main(*arguments, obj=stack, **settings)
            except SystemExit as end:
                if is_ours() and isinstance(end.code, int):
                    leave(end.code)  # somebody waits, whatever a plugin has left at work
                raise

    def invoke(self, ctx: click.Context) -> Any:
        """Carry out the command; exits with 2 after a UsageError, with 1 after another of ours."""
        try:
            return super().invoke(ctx)
        except FpmcBenchError as error:
            # All processes of a run meet most errors together, and a launcher ends the others when
            # one is gone: the main one speaks, the others only if they are still there afterwards.
            if not is_main():
                time.sleep(OTHERS_SPEAK_SECONDS)
            echo(f"fpmc-bench: {error}", err=True)
            ctx.exit(2 if isinstance(error, UsageError) else 1)
        except click.ClickException:
            if not is_main():
                time.sleep(OTHERS_SPEAK_SECONDS)
            raise


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fpmc-bench")
def main() -> None:
    """Compare analytical diffusion denoisers with trained networks.

    \b
    fpmc-bench run                  the digits suite: twelve denoisers, two protocols
    fpmc-bench list                 everything installed
    fpmc-bench run my-suite.toml    a suite of your own
    """
