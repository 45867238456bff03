from __future__ import annotations

from pathlib import Path

import pytest

from rankscope.cli.settings_file import read_settings_file
from rankscope.errors import SettingsError
from rankscope.settings import Settings


def test_lists_and_numbers_are_what_they_are_in_python(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('data = ["a", "b"]\nlayers = [0, "last"]\nmetrics = ["loss"]\ndrop-tokens = 1\nlimit = "3"\n')
    assert read_settings_file(file) == {
        "data": ["a", "b"], "layers": "0,last", "metrics": "loss", "drop-tokens": "1", "limit": "3",
    }  # fmt: skip
    assert Settings(layers=[0, "last"]).layers == "0,last"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("limit = true", r"limit must be an integer, got True \(bool\)"),
        ("limit = 1.0", r"limit must be an integer, got 1\.0 \(float\)"),
        ("untrained-seeds = 1.5", r"untrained-seeds must be an integer, got 1\.5"),
        ("metrics = []", r"metrics must be names: text such as 'a,b', or a list of text, got \[\] \(list\)"),
        ("layers = {a = 1}", r"an integer or a list, got \{'a': 1\} \(dict\)"),
        ("layers = 2024-01-31", r"got datetime.date\(2024, 1, 31\) \(date\)"),
        ("chat = 1", r"chat must be True or False, got 1 \(int\)"),
        ("layers = [", "is not valid TOML"),
    ],
)
def test_a_value_of_another_type_is_refused_in_words(tmp_path: Path, line: str, message: str) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(line)
    with pytest.raises(SettingsError, match=message):
        read_settings_file(file)
