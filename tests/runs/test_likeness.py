from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

import rankscope as rs
from rankscope.errors import SettingsError
from rankscope.runs.likeness import EFFECTS, Effect, differing, effect_of, folder_names, labelled_setting
from rankscope.settings import AlignmentSettings, Settings


def run_with(folder: Path, versions: dict[str, str] | None = None, texts: str = "t", **settings: object) -> rs.Run:
    """A manifest under these settings, and nothing else."""
    identity = {
        "settings": dataclasses.asdict(Settings()) | settings,
        "models": [{"reference": "owner/one", "revision": None, "fingerprint": "f", "dropout": 0.0}],
        "data": [{"name": "texts", "fingerprint": texts}],
    }
    sessions = [{"versions": versions or {"torch": "2.0"}, "device": "cpu (x86_64)"}]
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"schema": 1, "identity": identity, "sessions": sessions}))
    return rs.Run(folder)


def test_every_setting_has_an_effect_on_purpose() -> None:
    names = {field.name for kind in (Settings, AlignmentSettings) for field in dataclasses.fields(kind)}
    assert names - set(EFFECTS) == {"untrained_from"}  # which is part of the protocol
    assert effect_of("a_setting_of_tomorrow") is Effect.NUMBERS


@pytest.mark.parametrize(
    ("change", "effect", "label"),
    [
        ({"perturbation": "tokens-shuffled"}, Effect.NUMBERS, "perturbation tokens-shuffled"),
        ({"max_length": 60}, Effect.NUMBERS, "max_length 60"),
        ({"pool": "mean"}, Effect.NUMBERS, "pool mean"),
        ({"protocol": "permuted"}, Effect.TWIN, "protocol permuted"),
        ({"protocol": "revision", "untrained_from": "owner/one@step0"}, Effect.TWIN, "protocol revision @step0"),
        ({"protocol": "revision", "untrained_from": "x/y@step0"}, Effect.TWIN, "protocol revision x/y@step0"),
        ({"untrained_seeds": 3}, Effect.TWIN, "untrained_seeds 3"),
        ({"dtype": "bfloat16"}, Effect.ROUNDING, "dtype bfloat16"),
        ({"versions": {"torch": "2.1"}}, Effect.ROUNDING, "torch 2.1"),
        ({"limit": 3, "texts": "other"}, Effect.TEXTS, "limit 3"),
    ],
)
def test_what_a_difference_is(tmp_path: Path, change: dict, effect: Effect, label: str) -> None:
    runs = [run_with(tmp_path / "one"), run_with(tmp_path / "two", **change)]
    different = differing(runs)
    assert different.of(effect) == different.of(*Effect)
    assert different.label(different.of(effect), runs[1]) == label


@pytest.mark.parametrize(
    "change", [{"limit": 3}, {"layers": "all"}, {"metrics": "loss"}, {"pool": None}, {"untrained_seeds": 0}]
)
def test_what_does_not_matter(tmp_path: Path, change: dict) -> None:
    different = differing([run_with(tmp_path / "one"), run_with(tmp_path / "two", **change)])
    assert different.values == {}
    assert different.notes() == []


def test_a_setting_that_an_older_run_does_not_know_has_its_default(tmp_path: Path) -> None:
    new = run_with(tmp_path / "new")
    old = run_with(tmp_path / "old")
    manifest = json.loads((old.path / "manifest.json").read_text())
    del manifest["identity"]["settings"]["max_length"]
    (old.path / "manifest.json").write_text(json.dumps(manifest))
    assert differing([new, old]).values == {}


def test_long_values_stay_apart(tmp_path: Path) -> None:
    runs = [run_with(tmp_path / end, prefix="Read this with the greatest care, please: " + end) for end in "ab"]
    different = differing(runs)
    one, two = (different.shown(["prefix"], run) for run in runs)
    assert one != two
    assert max(len(one), len(two)) <= 40


def test_one_setting_is_a_question_and_two_are_none(tmp_path: Path) -> None:
    base = run_with(tmp_path / "base")
    shuffled = run_with(tmp_path / "shuffled", perturbation="words-shuffled", texts="shuffled", versions={"torch": "3"})
    assert labelled_setting(differing([base, shuffled])) == ("perturbation",)
    for name, change, message in (
        ("both", {"perturbation": "words-shuffled", "max_length": 60}, "differ in a single setting"),
        ("windows", {"window": 8}, "different texts"),
        ("fewer", {"limit": 3, "texts": "fewer"}, "so their texts differ"),
        ("same", {}, "nothing to compare"),
    ):
        with pytest.raises(SettingsError, match=message):
            labelled_setting(differing([base, run_with(tmp_path / name, **change)]))
    with pytest.raises(SettingsError, match="remove one"):
        labelled_setting(differing([base, shuffled, run_with(tmp_path / "again")]))


def test_notes_name_the_setting_and_its_values(tmp_path: Path) -> None:
    runs = [run_with(tmp_path / "one"), run_with(tmp_path / "two", dtype="bfloat16", protocol="paper", max_length=9)]
    texts = {note.name: note.text for note in differing(runs).notes()}
    assert "max_length (2048 and 9)" in texts["settings-differ"]
    assert "protocol (default and paper)" in texts["twins-differ"]
    assert "dtype (auto and bfloat16)" in texts["rounding-differs"]


def test_folders_of_one_name_are_numbered(tmp_path: Path) -> None:
    runs = [rs.Run(tmp_path / place) for place in ("a/run", "b/run", "other")]
    assert list(folder_names(runs).values()) == ["run, run 1", "run, run 2", "other"]
