"""`rankscope`: finds the command, and turns errors into one line and an exit status."""

from __future__ import annotations

import errno
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, CycloptsError, Parameter
from cyclopts.config import Toml

import rankscope
from rankscope.cli.align import align
from rankscope.cli.cache import cache
from rankscope.cli.compare import compare
from rankscope.cli.demo import demo
from rankscope.cli.doctor import doctor
from rankscope.cli.evaluate import evaluate
from rankscope.cli.listing import listing
from rankscope.cli.report import report
from rankscope.cli.study import study
from rankscope.cli.whole_numbers import refuse_fractions_in_call, refuse_fractions_in_file
from rankscope.errors import RankscopeError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

_HELP = "Intrinsic evaluation of language models: exact spectra of their hidden states, beside an untrained twin."
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
    app.command(report, help_epilogue="")
    app.command(listing, name="list", help_epilogue="")
    app.command(doctor, help_epilogue="")
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits: 0 done, 1 the evaluation failed, 2 the call was wrong."""
    app = build_app()

    @app.meta.default
    def launch(
        *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
        config: Path | None = None,
        debug: Annotated[bool, Parameter(negative="")] = False,
    ) -> int:
        """Runs a command.

        Args:
            tokens: The command and its arguments.
            config: A TOML file with settings by name, such as limit = 500. Flags win.
            debug: Show the traceback of an error.
        """
        if config is not None:
            _check_settings_file(config)
            app.config = (Toml(config, use_commands_as_keys=False),)
        refuse_fractions_in_call(tokens)
        try:
            app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
            sys.stdout.flush()  # a full disk shows here, and not after the last line of ours
        except (RankscopeError, CycloptsError) as error:
            if debug:
                raise
            return _report(error)
        except KeyboardInterrupt:
            return _say("stopped; what was finished is kept: give the same command again to go on", 130)
        except OSError as error:
            if debug:
                raise
            return _say(*_outside(error))
        except Exception as error:
            if debug:
                raise
            return _say(f"unexpected {type(error).__name__}: {_one_line(error)} (--debug shows where)", 1)
        return 0

    try:
        status = app.meta(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except (RankscopeError, CycloptsError) as error:
        if "--debug" in (sys.argv if arguments is None else arguments):
            raise
        status = _report(error)
    sys.exit(status if isinstance(status, int) else 0)


def _check_settings_file(file: Path) -> None:
    try:
        if not file.is_file():
            raise SettingsError(f"no such settings file: {file}")
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{file} is not TOML: {error}") from error
    except OSError as error:
        raise SettingsError(f"cannot read the settings file {_short(file)}: {error.strerror}") from error
    refuse_fractions_in_file(content)


def _outside(error: OSError) -> tuple[str, int]:
    """What the system refused, and the exit status: a name that no file can have is a wrong call."""
    place = "" if error.filename is None else f": {_short(error.filename)}"
    return f"{error.strerror or error}{place}", 2 if error.errno in (errno.ENAMETOOLONG, errno.EILSEQ) else 1


def _short(name: object) -> str:
    text = str(name)
    return text if len(text) <= 200 else f"{text[:200]}... ({len(text):,} characters)"


def _report(error: RankscopeError | CycloptsError) -> int:
    return _say(_one_line(error), error.exit_status if isinstance(error, RankscopeError) else 2)


def _say(message: str, status: int) -> int:
    print(f"rankscope: {message}", file=sys.stderr)
    return status


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
