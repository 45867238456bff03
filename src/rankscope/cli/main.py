"""`rankscope`: dispatches to the command, and turns errors into one line and an exit status."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, CycloptsError, Parameter
from cyclopts.config import Dict

import rankscope
from rankscope.cli.align import align
from rankscope.cli.cache import cache
from rankscope.cli.compare import compare
from rankscope.cli.demo import demo
from rankscope.cli.doctor import doctor
from rankscope.cli.evaluate import evaluate
from rankscope.cli.listing import listing
from rankscope.cli.merge import merge
from rankscope.cli.report import report
from rankscope.cli.settings_file import read_settings_file
from rankscope.cli.study import study
from rankscope.cli.terminal import streams_for_any_text
from rankscope.cli.watch import watch
from rankscope.cli.whole_numbers import refuse_fractions_in_call
from rankscope.errors import RankscopeError

if TYPE_CHECKING:
    from collections.abc import Sequence

_HELP = "Intrinsic evaluation of language models: exact spectra of hidden states, compared with an untrained twin."
_EXAMPLE = "Example: rankscope evaluate facebook/opt-125m --data dolly-15k --limit 500"


def build_app() -> App:
    """The command line with all its commands."""
    app = App(
        name="rankscope",
        help=_HELP,
        help_epilogue=_EXAMPLE,
        version=rankscope.__version__,
        suppress_keyboard_interrupt=False,
    )
    app.command(align, help_epilogue="")
    app.command(cache, help_epilogue="")
    app.command(compare, help_epilogue="")
    app.command(demo, help_epilogue="")
    app.command(evaluate, help_epilogue="")
    app.command(study, help_epilogue="")
    app.command(merge, help_epilogue="")
    app.command(report, help_epilogue="")
    app.command(watch, help_epilogue="")
    app.command(listing, name="list", help_epilogue="")
    app.command(doctor, help_epilogue="")
    app.register_install_completion_command(help="Install completion of commands and options for your shell.")
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits with status 0 (done), 1 (the evaluation failed) or 2 (the call was wrong)."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        with streams_for_any_text():
            sys.exit(_run(given))
    except KeyboardInterrupt:  # arrived outside `_run`
        sys.exit(130)


def _run(arguments: list[str]) -> int:
    app = build_app()
    app.meta.suppress_keyboard_interrupt = False

    @app.meta.default
    def launch(
        *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
        config: Path | None = None,
        debug: Annotated[bool, Parameter(negative="")] = False,  # noqa: ARG001 (read below, where all errors arrive)
    ) -> None:
        """Runs a command.

        Args:
            tokens: The command and its arguments.
            config: A TOML file with settings by name, such as limit = 500. Options on the command line take precedence.
            debug: Show the traceback of an error.
        """
        if config is not None:
            content = read_settings_file(config)
            app.config = (Dict(content, use_commands_as_keys=False, source=str(config)),)
        refuse_fractions_in_call(tokens)
        app(tokens, exit_on_error=False, print_error=False, result_action="return_value")

    try:
        app.meta(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()  # so that a full disk is reported here, not at interpreter exit
    except (Exception, KeyboardInterrupt) as error:
        if "--debug" in arguments and not isinstance(error, (KeyboardInterrupt, BrokenPipeError)):
            raise
        return _report(error)
    return 0


def _report(error: BaseException) -> int:
    """Prints an error as one line on standard error; returns the exit status."""
    if isinstance(error, BrokenPipeError):
        _discard_output()  # the reader closed the pipe on purpose
        return 1
    if isinstance(error, OSError):
        _discard_output()  # if standard output is what failed, it would fail again at exit
    message, status = _message_of(error)
    with suppress(OSError):  # standard error is closed
        print(f"rankscope: {message}", file=sys.stderr, flush=True)
    return status


def _message_of(error: BaseException) -> tuple[str, int]:
    """The message for an error, and the exit status."""
    text = " ".join(str(error).split())
    if isinstance(error, RankscopeError):
        return text, error.exit_status
    if isinstance(error, CycloptsError):
        return text, 2
    if isinstance(error, KeyboardInterrupt):
        return "interrupted; finished work is saved: run the same command again to resume", 130
    if isinstance(error, OSError) and error.errno in (errno.ENAMETOOLONG, errno.EILSEQ):
        return f"not a valid file name: {str(error.filename)[:200]} ({error.strerror})", 2
    return _message_of_limit(error) or f"unexpected {type(error).__name__}: {text} (use --debug for a traceback)", 1


def _message_of_limit(error: BaseException) -> str | None:
    """The message for an error caused by the machine's limits rather than by the program."""
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return "out of memory: lower --batch-tokens, --max-length or --limit; finished work is saved"
    if isinstance(error, RecursionError):
        return f"input is nested too deeply: {text} (use --debug for a traceback)"
    if isinstance(error, OSError):
        where = error.filename if isinstance(error.filename, str) else "standard output or another file"
        return f"cannot read or write {where}: {error.strerror or text} (use --debug for a traceback)"
    return None


def _discard_output() -> None:
    """Redirects standard output to the null device if it cannot be flushed, so that flushing cannot fail at exit."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        return
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
