from __future__ import annotations

import pytest

import rankscope as rs
from rankscope.errors import SettingsError
from rankscope.reports.evaluated_models import evaluated_models

pytestmark = pytest.mark.slow


def test_models_in_the_order_of_the_run_with_their_own_rows(runs: dict[str, rs.Run]) -> None:
    run = runs["sizes"]
    models = evaluated_models(run, "a test")
    assert [model.reference for model in models] == [
        entry["reference"] for entry in run.manifest()["identity"]["models"]
    ]
    assert [row for model in models for row in model.rows] == run.summary_rows()
    assert all({row["model"] for row in model.rows} == {model.reference} for model in models)
    assert all(model.entry["fingerprint"] for model in models)


def test_a_run_of_images_and_texts_is_refused(alignment: rs.Run) -> None:
    with pytest.raises(SettingsError, match="holds no evaluation of texts: a test takes runs of evaluate"):
        evaluated_models(alignment, "a test")
