from __future__ import annotations

import json
from typing import Any

from rankscope.reports import alignment_figure


def row(model: str, control: str, number: float, *, intervals: bool = True) -> dict[str, Any]:
    keys = ("loss", "image_reduction_ratio", "image_text_alignment")
    ends = {f"{key}_{end}": number + shift for key in keys for end, shift in (("low", -0.1), ("high", 0.1))}
    numbers = dict.fromkeys((*keys, "modality_integration_rate"), number) | (ends if intervals else {})
    return {"model": model, "dataset": "d", "control": control, "texts": 1200} | numbers


def panels(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    chart = alignment_figure(rows).to_dict()
    assert chart["title"]["subtitle"].startswith("1,200 pairs")
    return [panel for line in chart["vconcat"] for panel in line["hconcat"]]


def test_a_panel_for_each_quantity_with_models_in_their_order() -> None:
    rows = [row(model, control, place) for place, model in enumerate("ba") for control in ("base", "shuffled")]
    found = panels(rows)
    titles = [panel["layer"][1]["encoding"]["y"]["title"] for panel in found]
    assert titles == [
        "loss (nats per token)",
        "image reduction ratio",
        "image-text alignment",
        "modality integration rate",
    ]
    for panel in found:
        values = panel["data"]["values"] if "data" in panel else panel["layer"][0]["data"]["values"]
        assert [value["model"] for value in values] == ["b", "b", "a", "a"]
        assert panel["layer"][1]["encoding"]["x"]["sort"] is None


def test_what_is_missing_is_left_out() -> None:
    rows = [row("a", "base", 1.0, intervals=False), row("b", "base", 2.0) | {"loss": None}]
    text = json.dumps(panels(rows)[0])
    assert '"a"' in text
    assert '"b"' not in text
