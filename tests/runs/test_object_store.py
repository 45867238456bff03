"""Runs' files in object stores: over the real protocol of S3, and in memory."""

from __future__ import annotations

import os
import pickle
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from rankscope.errors import MissingExtraError, RankscopeError, RunFolderError, SettingsError, StorageError
from rankscope.runs.object_store import ObjectStore
from s3_server import BUCKET, CREDENTIALS, DENIED, INTERNAL, SLOW_DOWN, Failure, S3Server, s3_server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def store(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """An empty place in the bucket; pauses take no time."""
    for name, value in (CREDENTIALS | {"AWS_ENDPOINT_URL": server.url, "AWS_REGION": "us-east-1"}).items():
        monkeypatch.setenv(name, value)
    server.fails = lambda _method, _path: None
    opened = ObjectStore.at(f"s3://{BUCKET}/{uuid.uuid4().hex}/run")
    opened.sleep = lambda _seconds: None
    return opened


def test_what_is_written_is_read_and_listed(store: ObjectStore) -> None:
    assert store.read("a/b.json") is None
    assert not store.exists("a/b.json")
    assert store.names("") == store.names("a") == []
    assert store.other_file() is None
    store.write("a/b.json", b"1")
    store.write("a/b.json", b"2")
    store.write("a/c/d[1]*.json", b"3")
    store.write("ab.json", b"4")
    assert store.exists("a/b.json")
    assert not store.exists("a")
    assert store.read("a/b.json") == b"2"
    assert store.names("a") == ["a/b.json", "a/c/d[1]*.json"]
    assert store.names("") == ["a/b.json", "a/c/d[1]*.json", "ab.json"]
    assert store.read_each(["ab.json", "no", "a/c/d[1]*.json"]) == [b"4", None, b"3"]
    assert store.other_file() == "a/b.json"
    assert store.other_file(["a"]) == "ab.json"
    store.remove("a")
    assert store.names("") == ["ab.json"]
    store.remove("ab.json")
    store.remove("ab.json")
    assert store.names("") == []


def test_an_object_is_created_by_one_of_many(store: ObjectStore) -> None:
    start = threading.Barrier(8)

    def create(number: int) -> bool:
        start.wait(timeout=60)
        return ObjectStore.at(store.address).create("manifest.json", str(number).encode())

    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(create, range(8)))
    assert sum(created) == 1
    assert store.read("manifest.json") == str(created.index(True)).encode()


def test_memory_is_a_store_as_well() -> None:
    store = ObjectStore.at(f"memory://{uuid.uuid4().hex}/run")
    assert store.create("a/b", b"1")
    assert not store.create("a/b", b"2")
    assert (store.read("a/b"), store.read("c"), store.names("")) == (b"1", None, ["a/b"])
    store.remove("a")
    assert store.names("") == []


def sometimes(failure: Failure, every: int) -> Callable[[str, str], Failure | None]:
    numbers = count()
    return lambda _method, _path: failure if next(numbers) % every == 0 else None


@pytest.mark.parametrize("failure", [SLOW_DOWN, INTERNAL, Failure("429 Too Many Requests", "TooManyRequests")])
def test_what_passes_is_tried_again(store: ObjectStore, server: S3Server, failure: Failure) -> None:
    server.fails = sometimes(failure, every=3)
    assert store.create("a", b"0")
    assert not store.create("a", b"0")
    for number in range(5):
        store.write(f"b/{number}", str(number).encode())
    assert store.read_each(store.names("b")) == [b"0", b"1", b"2", b"3", b"4"]
    assert store.exists("a")
    store.remove("b")
    assert store.names("") == ["a"]


def test_a_store_that_fails_for_long_is_given_up_at_last(store: ObjectStore, server: S3Server) -> None:
    pauses: list[float] = []
    store.sleep = pauses.append
    store.patience = 20.0
    clock = iter(range(10**6))  # a second each time that somebody looks
    store.clock = lambda: float(next(clock))
    store.write("a", b"1")
    server.fails = lambda method, _path: SLOW_DOWN if method == "PUT" else None
    with pytest.raises(StorageError, match=r"could not write s3://bucket/.*/run/b: .*tried for 20 seconds") as caught:
        store.write("b", b"2")
    assert "\n" not in str(caught.value)
    assert pauses[:4] == [0.25, 0.5, 1.0, 2.0]
    assert max(pauses) <= 15
    assert len(pauses) > 4
    assert store.read("a") == b"1"


@pytest.mark.parametrize("failure", [DENIED, Failure("403 Forbidden", "InvalidAccessKeyId")])
def test_no_rights_are_told_at_once(store: ObjectStore, server: S3Server, failure: Failure) -> None:
    store.sleep = lambda _seconds: pytest.fail("waited for rights")
    server.fails = lambda _method, _path: failure
    calls: list[Callable[[], object]] = [
        lambda: store.read("a"),
        lambda: store.exists("a"),
        lambda: store.names(""),
        lambda: store.write("a", b""),
        lambda: store.create("a", b""),
    ]
    for call in calls:
        with pytest.raises(RunFolderError, match=r"could not \w+.*s3://.*Check the address and the rights") as caught:
            call()
        assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in str(caught.value)


def test_rights_that_are_lost_on_the_way_are_no_wrong_call(store: ObjectStore, server: S3Server) -> None:
    store.write("a", b"")
    server.fails = lambda _method, _path: Failure("400 Bad Request", "ExpiredToken", "The provided token has expired.")
    with pytest.raises(StorageError, match="could not write .*token has expired"):
        store.write("b", b"")


def test_a_bucket_that_is_not_there(store: ObjectStore) -> None:
    absent = ObjectStore.at("s3://no-such-bucket/run")
    assert absent.read("manifest.json") is None
    for write in (absent.write, absent.create):
        with pytest.raises(RunFolderError, match="could not write s3://no-such-bucket/run/a: .*bucket does not exist"):
            write("a", b"")


def test_nobody_listens(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
    monkeypatch.setenv("RANKSCOPE_STORE_SECONDS", "0.5")
    with pytest.raises(StorageError, match=r"could not read s3://.*Could not connect.*tried for 0.5 seconds"):
        ObjectStore.at(store.address).read("manifest.json")


def test_no_credentials_are_told_at_once(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CREDENTIALS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    one = ObjectStore.at(store.address)
    one.sleep = lambda _seconds: pytest.fail("waited for credentials")
    with pytest.raises(RunFolderError, match="could not write s3://.*: Unable to locate credentials"):
        one.write("a", b"")


@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        ("s4://bucket/run", SettingsError, "s4:// is not a store that fsspec supports"),
        ("s3://KEY:SECRET@bucket/run", SettingsError, "contains a user name or a key"),
    ],
)
def test_addresses_that_cannot_be_used(address: str, error: type[RankscopeError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        ObjectStore.at(address)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("scheme", "package", "message"),
    [("s3", "s3fs", r"rankscope\[s3\]"), ("gs", "gcsfs", r"rankscope\[gcs\]")],
)
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, scheme: str, package: str, message: str) -> None:
    import fsspec

    def without(*_: object, **__: object) -> None:
        raise ImportError(f"Install {package}")

    monkeypatch.setattr(fsspec, "filesystem", without)
    with pytest.raises(MissingExtraError, match=f"{package} is not installed: pip install '{message}'"):
        ObjectStore.at(f"{scheme}://bucket/run")


@pytest.mark.parametrize("given", ["soon", "-1", "nan", "inf"])
def test_a_patience_that_is_none(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("RANKSCOPE_STORE_SECONDS", given)
    with pytest.raises(SettingsError, match="RANKSCOPE_STORE_SECONDS must be a number of seconds, got"):
        ObjectStore.at("memory://run")


def test_a_store_is_sent_to_another_process_by_its_address_alone(store: ObjectStore) -> None:
    store.write("a", b"1")
    sent = pickle.dumps(store)
    assert not any(value.encode() in sent for value in CREDENTIALS.values())
    there = pickle.loads(sent)
    assert there.read("a") == b"1"
    pauses: list[float] = []
    there.clock, there.sleep = lambda: sum(pauses), pauses.append
    there.files.pipe_file = _fails
    with pytest.raises(StorageError, match="tried for 120 seconds"):  # it has answered where it was opened
        there.write("b", b"2")


def _fails(*_: object, **__: object) -> None:
    raise TimeoutError("no answer")
