from __future__ import annotations

from rankscope.errors import UnknownNameError


def test_a_long_list_of_names_is_cut() -> None:
    assert str(UnknownNameError("task", "x", ["piqa", "winogrande"])) == "unknown task 'x': known: piqa, winogrande"
    said = str(UnknownNameError("task", "x", [f"name-{n}" for n in range(14_000)]))
    assert said.endswith("name-29 and 13,970 more")
