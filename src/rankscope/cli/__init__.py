"""The command line: one module for each command, imports inside the command."""

from rankscope.cli.main import main

__all__ = ["main"]
