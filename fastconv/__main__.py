"""``python -m fastconv``: the main job, and the other commands by name."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from . import __version__
from .bench import check
from .bench import run as bench

# Each has NAME, HELP, add_arguments(parser) and run(args) -> exit status. The first is the main job.
COMMANDS = (check, bench)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name; without any, the main job."""
    parser = argparse.ArgumentParser(
        prog="python -m fastconv",
        description="Convolution and pooling for NumPy arrays on CPUs. Without a command, runs the first of the list.",
    )
    parser.add_argument("--version", action="version", version=f"fastconv {__version__}")
    subparsers = parser.add_subparsers(metavar="command", required=True)
    for command in COMMANDS:
        subparser = subparsers.add_parser(command.NAME, help=command.HELP, description=command.HELP)
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    args = parser.parse_args((sys.argv[1:] if argv is None else argv) or [COMMANDS[0].NAME])
    try:
        return args.run(args)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
