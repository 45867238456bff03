from __future__ import annotations

import datasets
import pytest

from rankscope.errors import DataError
from rankscope.texts import load_texts, parse_data_reference
from rankscope.texts.hub import HubSource, read_hub


@pytest.fixture(autouse=True)
def answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """No network is used."""
    monkeypatch.setattr("rankscope.texts.hub.reach_hub", lambda *_args, **_options: True)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """A hub that answers from memory and remembers what it was asked."""
    asked: list[tuple] = []

    def load_dataset(repository, config=None, *, split=None, revision=None, data_dir=None):
        asked.append((repository, config, split, revision, data_dir))
        if repository == "owner/absent":
            raise datasets.exceptions.DatasetNotFoundError("Dataset 'owner/absent' doesn't exist\non the Hub")
        table = datasets.Dataset.from_list([{"chosen": f"{data_dir} {n}"} for n in range(3)])
        return table if split else datasets.DatasetDict({"train": table} | ({"test": table} if config else {}))

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return asked


def test_folders_are_read_one_after_the_other(hub: list[tuple]) -> None:
    texts = load_texts(parse_data_reference("hh-rlhf"))
    assert [text.text for text in texts.texts[2:4]] == ["harmless-base 2", "helpful-base 0"]
    assert [asked[4] for asked in hub] == [
        "harmless-base",
        "helpful-base",
        "helpful-online",
        "helpful-rejection-sampled",
    ]
    assert texts.source == "Anthropic/hh-rlhf, split test; all"


def test_a_sample_reads_only_its_rows(hub: list[tuple]) -> None:
    rows = read_hub(HubSource("owner/name", split="train"))
    assert len(rows) == 3
    assert rows[1].row == {"chosen": "None 1"}
    texts = load_texts(parse_data_reference("owner/name", field="chosen", split="train"), limit=2, sample_seed=0)
    assert len(texts.texts) == 2


def test_the_only_split_needs_no_name(hub: list[tuple]) -> None:
    assert len(load_texts(parse_data_reference("owner/name", field="chosen")).texts) == 3
    with pytest.raises(DataError, match="has several splits: add --split train or test"):
        load_texts(parse_data_reference("owner/name:both", field="chosen"))


def test_what_is_not_on_the_hub_is_one_line(hub: list[tuple]) -> None:
    with pytest.raises(DataError, match="could not load data set owner/absent") as caught:
        load_texts(parse_data_reference("owner/absent", field="text", split="train"))
    assert "\n" not in str(caught.value)


def test_images_come_as_they_are_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    features = datasets.Features({"image": datasets.Image(), "response": datasets.Value("string")})
    stored = [{"image": {"bytes": b"not even an image", "path": None}, "response": "One."}]
    table = datasets.Dataset.from_list(stored, features=features)
    monkeypatch.setattr(datasets, "load_dataset", lambda *_args, **_options: table)
    rows = read_hub(HubSource("owner/name", split="train"))
    assert rows[0].row == stored[0]


def test_only_the_columns_that_are_asked_for_are_read(hub: list[tuple], monkeypatch: pytest.MonkeyPatch) -> None:
    table = datasets.Dataset.from_list([{"id": "x", "text": "One.", "other": 1}])
    monkeypatch.setattr(datasets, "load_dataset", lambda *_args, **_options: table)
    assert read_hub(HubSource("owner/name"), ["text"])[0].row == {"id": "x", "text": "One."}
    assert [text.id for text in load_texts(parse_data_reference("owner/name", field="text")).texts] == ["x"]
