from __future__ import annotations

import dataclasses
import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import torch

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
    with pytest.raises(SettingsError, match="integration_items must be an integer of at least 0"):
        AlignmentSettings(integration_items=-1)
    assert changed(AlignmentSettings(limit=3), {"prompt": "Look."}) == AlignmentSettings(limit=3, prompt="Look.")


@pytest.mark.parametrize("name", ["prefix", "field", "template"])
def test_text_that_is_not_utf8_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} must be UTF-8 text, got .*: set PYTHONUTF8=1"):
        Settings(**{name: "a\udcff"})


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("layers", 3, "3"),
        ("layers", -1, "-1"),
        ("layers", [0, 3], "0,3"),
        ("layers", (0, "last"), "0,last"),
        ("layers", range(0, 9, 4), "0,4,8"),
        ("layers", [np.int64(0), np.int8(3)], "0,3"),
        ("layers", "0 , 3", "0,3"),
        ("metrics", ["loss"], "loss"),
        ("metrics", ("loss", "stable_rank"), "loss,stable_rank"),
        ("metrics", "loss, stable_rank", "loss,stable_rank"),
        ("drop_tokens", 1, "1"),
        ("drop_tokens", np.int64(4), "4"),
        ("drop_tokens", "first", "first"),
        ("untrained_seeds", None, 0),
        ("untrained_seeds", np.int64(2), 2),
        ("limit", np.int32(3), 3),
        ("window", torch.tensor(64), 64),
        ("initializer_range", 1, 1.0),
        ("initializer_range", np.float32(0.5), 0.5),
        ("config_from", Path("folder"), "folder"),
    ],
)
def test_what_a_python_user_writes_is_kept_as_the_command_line_has_it(name: str, given: object, kept: object) -> None:
    settings = Settings(**{name: given})
    assert getattr(settings, name) == kept
    assert type(getattr(settings, name)) is type(kept)
    assert settings == Settings(**{name: kept}) == changed(Settings(), {name: given})
    assert json.dumps(settings.identity) == json.dumps(Settings(**{name: kept}).identity)


def test_controls_of_an_alignment_in_any_form() -> None:
    for given in (["blank", "rotated-90"], ("blank", "rotated-90"), "blank, rotated-90"):
        assert AlignmentSettings(control=given) == AlignmentSettings(control="blank,rotated-90")
    assert AlignmentSettings(images=Path("folder")).images == "folder"


class _Unhashable:
    __hash__ = None

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("compared")


HOSTILE = [
    None, True, 0, -1, 1, 10**400, 1.0, float("nan"), 1 + 2j, Decimal(1), "", " ", ",", "x", b"loss", bytearray(b"a"),
    [], (), [[]], [None], [True], [1.5], ["a", None], {}, {"a": 1}, {"loss"}, iter(["loss"]), object, object(), len,
    _Unhashable(), np.arange(3), np.array([0.5]), np.array(1.5), np.bool_(True), np.float64("inf"), torch.zeros(2),
    torch.float32, torch.device("cpu"), Path("x"), "a\udcff", "\0", range(0), memoryview(b"a"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, field.name) for kind in (Settings, AlignmentSettings) for field in dataclasses.fields(kind)],
)
def test_a_value_of_any_type_works_or_is_refused_in_words(kind: type, name: str) -> None:
    errors = []
    for value in HOSTILE:
        try:
            kept = getattr(kind(**{name: value}), name)
        except (SettingsError, UnknownNameError) as error:
            errors.append(error)
        else:
            assert kept is None or type(kept) in (bool, int, float, str), value
            assert json.loads(json.dumps(kept)) == kept
    assert len(errors) > len(HOSTILE) / 2
    for told in map(str, errors):
        assert name in told or "unknown" in told
        assert "\n" not in told
        assert len(told) < 700


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"limit": "3"}, r"limit must be an integer, got '3' \(str\)"),
        ({"limit": True}, r"limit must be an integer, got True \(bool\)"),
        ({"limit": 2.0}, r"limit must be an integer, got 2\.0 \(float\)"),
        ({"max_length": None}, "max_length must be an integer, got None$"),
        ({"chat": 1}, r"chat must be True or False, got 1 \(int\)"),
        ({"layers": []}, r"layers must be last, .* an integer or a list, got \[\] \(list\)"),
        ({"layers": {0: 1}}, r"got \{0: 1\} \(dict\)"),
        ({"layers": None}, "an integer or a list, got None$"),
        ({"metrics": [3]}, r"metrics must be names: .* got \[3\] \(list\)"),
        ({"drop_tokens": 0}, r"'first', 'massive' or a number of leading tokens, got 0 \(int\)"),
        ({"dtype": 16}, r"dtype must be one of auto, float32, bfloat16, float16, got 16 \(int\)"),
        ({"initializer_range": "0.02"}, r"initializer_range must be a number, got '0\.02' \(str\)"),
        ({"prefix": 3}, r"prefix must be text, got 3 \(int\)"),
        ({"config_from": 3}, r"config_from must be text or a path, got 3 \(int\)"),
    ],
)
def test_a_refusal_says_what_is_expected_and_what_came(wrong: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings(**wrong)
