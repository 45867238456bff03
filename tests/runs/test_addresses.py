from __future__ import annotations

from pathlib import Path

import pytest

from rankscope.errors import SettingsError
from rankscope.runs.addresses import checked_address, child, is_address, refuse_shortened, without_secrets


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("s3://bucket/run", "s3://bucket/run"),
        ("S3://bucket/a/b//", "s3://bucket/a/b"),
        ("hf://datasets/user/name@main/run", "hf://datasets/user/name@main/run"),
        ("memory://run", "memory://run"),
    ],
)
def test_an_address_stays_what_it_is(given: str, address: str) -> None:
    assert checked_address(given) == address
    assert is_address(given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("s3://KEY:SECRET@bucket/run", "s3://... contains a user name or a key"),
        ("https://user:SECRET@host/run", "contains a user name or a key"),
        ("s3://SECRET@bucket/run", "contains a user name or a key"),
        ("https://host/run?token=SECRET", "has a query string"),
        ("s3://", "has no location: use s3://BUCKET/FOLDER"),
        ("s3:///", "has no location"),
        ("simplecache::s3://KEY:SECRET@bucket/run", "an address has a single scheme"),
    ],
)
def test_an_address_that_is_refused_shows_no_secret(given: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        checked_address(given)
    assert "SECRET" not in str(caught.value)


def test_paths_are_no_addresses() -> None:
    assert not is_address("runs/mine")
    assert not is_address(Path("s3:/bucket"))
    assert not is_address("file:///tmp/run")
    with pytest.raises(SettingsError, match=r"pass it as text, 's3://bucket/run', not as a Path"):
        refuse_shortened(Path("s3://bucket/run"))
    refuse_shortened(Path("runs/s3:/bucket"))


def test_places_inside_a_place() -> None:
    assert child("runs/mine") == Path("runs/mine")
    assert child(Path("runs"), "a", "b") == Path("runs/a/b")
    assert child("file:///tmp", "a") == Path("/tmp/a")
    assert child("s3://bucket/runs/", "a", "b") == "s3://bucket/runs/a/b"


def test_messages_lose_what_can_be_a_secret() -> None:
    told = "403 for https://me:SECRET@host/a/b?X-Signature=SECRET&x=1: denied"
    assert without_secrets(told) == "403 for https://host/a/b denied"
