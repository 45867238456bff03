from __future__ import annotations

import pytest

from rankscope.errors import SettingsError, UnknownNameError
from rankscope.metrics import metric_names
from rankscope.settings import AlignmentSettings, Settings, changed


def test_all_metrics_unless_some_are_named() -> None:
    assert Settings().metric_names == metric_names(default_only=True)
    assert Settings(metrics="loss , stable_rank,loss").metric_names == ("loss", "stable_rank")
    assert Settings(metrics="effective_rank").metric_names == ("matrix_entropy", "effective_rank")


def test_changes_leave_the_rest() -> None:
    assert changed(Settings(limit=3), {"layers": "all"}) == Settings(limit=3, layers="all")


@pytest.mark.parametrize(
    "wrong",
    [
        {"chat": True, "template": "{a}"},
        {"chat": True, "prefix": "Read this."},
        {"chat": True, "perturbation": "words-shuffled"},
        {"chat": True, "special_tokens": False},
        {"skip_overlong": True, "window": 64},
    ],
)
def test_settings_of_texts_that_exclude_each_other(wrong: dict) -> None:
    with pytest.raises(SettingsError):
        Settings(**wrong)
    for name, value in wrong.items():
        assert getattr(Settings(**{name: value}), name) == value


def test_a_bad_row_stops_or_is_skipped() -> None:
    with pytest.raises(UnknownNameError, match="unknown on_bad_row 'ignore'"):
        Settings(on_bad_row="ignore")


def test_controls_each_once_and_known() -> None:
    assert AlignmentSettings().controls == ()
    assert AlignmentSettings(control="blank, rotated-90,blank").controls == ("blank", "rotated-90")
    with pytest.raises(UnknownNameError, match="unknown control 'rotated'"):
        AlignmentSettings(control="rotated")
    with pytest.raises(SettingsError, match="integration_items is a whole number of at least 0"):
        AlignmentSettings(integration_items=-1)
    assert changed(AlignmentSettings(limit=3), {"prompt": "Look."}) == AlignmentSettings(limit=3, prompt="Look.")


@pytest.mark.parametrize("name", ["prefix", "field", "template"])
def test_text_that_is_not_utf8_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is text, and .* is not UTF-8"):
        Settings(**{name: "a\udcff"})
