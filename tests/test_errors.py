from __future__ import annotations

import pytest

from rankscope.errors import UnknownNameError, first_line


def test_a_long_list_of_names_is_cut() -> None:
    assert str(UnknownNameError("task", "x", ["piqa", "winogrande"])) == "unknown task 'x': known: piqa, winogrande"
    said = str(UnknownNameError("task", "x", [f"name-{n}" for n in range(14_000)]))
    assert said.endswith("name-29 and 13,970 more")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("no such file\nTraceback ..."), "no such file"),
        (ValueError("\n  \nout of memory  \n"), "out of memory"),
        (EOFError(), "EOFError"),
        (OSError(" \n"), "OSError"),
        (OSError(2, "No such file", "a"), "[Errno 2] No such file: 'a'"),
    ],
)
def test_the_first_line_of_what_another_error_says(error: Exception, line: str) -> None:
    assert first_line(error) == line
