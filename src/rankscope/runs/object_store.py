"""A run's files in an object store, through fsspec: `s3://`, `gs://`, `hf://`, `memory://` and other schemes.

Objects are written atomically, and reads return the latest version. Nothing is renamed, locked, or listed from a cache.
Temporary failures are retried with growing pauses, which is safe because writing an object twice gives the same result.
"""

from __future__ import annotations

import errno
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rankscope.errors import MissingExtraError, RankscopeError, RunFolderError, SettingsError, StorageError, first_line
from rankscope.runs.addresses import Place, checked_address, without_secrets

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

PATIENCE_VARIABLE = "RANKSCOPE_STORE_SECONDS"
_PATIENCE, _FIRST_PATIENCE = 120.0, 30.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 15.0
_AT_ONCE = 16  # concurrent requests
_EXTRAS = {"s3": ("s3", "s3fs"), "s3a": ("s3", "s3fs"), "gs": ("gcs", "gcsfs"), "gcs": ("gcs", "gcsfs")}
_S3 = ("s3", "s3a")
_TRY_AGAIN = (408, 409, 425, 429)  # HTTP statuses below 500 that are worth a retry


@dataclass
class ObjectStore:
    """A folder in an object store.

    Attributes:
        address: The folder's address, without credentials.
        files: The fsspec file system.
        patience: How long to retry a failing request, in seconds; at most 30 seconds until the store has answered once.
        sleep: Waits for a number of seconds.
        clock: Returns the time in seconds.
    """

    address: str
    files: AbstractFileSystem = field(repr=False, compare=False)
    patience: float = field(default=_PATIENCE, compare=False)
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False, compare=False)
    clock: Callable[[], float] = field(default=time.monotonic, repr=False, compare=False)
    _has_answered: bool = field(default=False, init=False, repr=False, compare=False)

    @classmethod
    def at(cls, address: str) -> ObjectStore:
        """The folder at an address; no request is sent yet.

        Raises:
            SettingsError: the address is not valid, or `RANKSCOPE_STORE_SECONDS` is not a number of seconds.
            MissingExtraError: the package for this kind of store is not installed.
        """
        address = checked_address(address)
        return cls(address, _file_system(address.partition("://")[0]), _patience())

    def __reduce__(self) -> tuple[Any, ...]:  # another process uses its own credentials
        return ObjectStore.at, (self.address,), {"_has_answered": self._has_answered}

    @property
    def place(self) -> Place:
        """The address."""
        return self.address

    def called(self, name: str) -> str:
        """The object's address."""
        return f"{self.address}/{name}"

    def prepare(self) -> None:
        """Does nothing: object stores have no folders."""

    def read(self, name: str) -> bytes | None:
        """An object's content; None if there is no such object.

        Raises:
            RunFolderError: reading is not permitted.
            StorageError: the store does not answer.
        """
        try:
            return bytes(self._trying(f"read {self.called(name)}", lambda: self.files.cat_file(self._path(name))))
        except FileNotFoundError:
            return None

    def read_each(self, names: Sequence[str]) -> list[bytes | None]:
        """Reads several objects concurrently; contents are in the order of `names`, with None for missing objects."""
        with ThreadPoolExecutor(min(_AT_ONCE, len(names)) or 1) as pool:
            return list(pool.map(self.read, names))

    def write(self, name: str, content: bytes) -> None:
        """Writes an object, replacing an existing one.

        Raises:
            RunFolderError: writing is not permitted, or there is no such bucket.
            StorageError: the store does not answer.
        """
        doing = f"write {self.called(name)}"
        try:
            self._trying(doing, lambda: self.files.pipe_file(self._path(name), content))
        except FileNotFoundError as error:
            raise self._refusal(doing, error) from error

    def create(self, name: str, content: bytes) -> bool:
        """Writes an object unless it exists; returns whether it was written.

        On a store that cannot do this atomically, callers must read the object afterwards to check that it is theirs.

        Raises:
            RunFolderError: writing is not permitted, or there is no such bucket.
            StorageError: the store does not answer.
        """
        doing, path = f"write {self.called(name)}", self._path(name)
        try:
            self._trying(doing, lambda: self.files.pipe_file(path, content, mode="create"))
        except FileExistsError:
            return False
        except FileNotFoundError as error:
            raise self._refusal(doing, error) from error
        return True

    def exists(self, name: str) -> bool:
        """Whether an object exists.

        Raises:
            RunFolderError: the store refuses the request.
            StorageError: the store does not answer.
        """
        try:
            found = self._trying(f"look for {self.called(name)}", lambda: self.files.info(self._path(name)))
        except FileNotFoundError:
            return False
        return bool(found["type"] == "file")

    def names(self, folder: str) -> list[str]:
        """Names of all objects in a subfolder, at any depth, sorted.

        Raises:
            RunFolderError: listing is not permitted.
            StorageError: the store does not answer.
        """
        root = self._path("")
        try:
            found = self._trying(f"list {self.called(folder)}", lambda: self._found(self._path(folder)))
        except FileNotFoundError:
            return []
        return sorted(path.removeprefix(root).lstrip("/") for path in found if path.startswith(root))

    def other_file(self, ours: Iterable[str] = ()) -> str | None:
        """The name of any object that is not in `ours`, nor in a folder of that name; None if there is no other."""
        return next((name for name in self.names("") if name.partition("/")[0] not in ours), None)

    def remove(self, name: str) -> None:
        """Removes an object, or all objects in a subfolder.

        Raises:
            RunFolderError: removing is not permitted.
            StorageError: the store does not answer.
        """

        def remove_one(one: str) -> None:
            with suppress(FileNotFoundError):  # another process removed it
                self._trying(f"remove {self.called(one)}", lambda: self.files.rm_file(self._path(one)))

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(remove_one, self.names(name) or [name]))

    def sweep(self, pattern: str) -> None:
        """Does nothing: an unfinished object does not exist."""

    def _path(self, name: str) -> str:
        root = str(self.files._strip_protocol(self.address)).rstrip("/")
        return f"{root}/{name}" if name else root

    def _found(self, path: str) -> list[str]:
        """All paths below a path; raises listing errors, which fsspec's own `find` would silently ignore."""
        from fsspec import AbstractFileSystem
        from fsspec.asyn import AsyncFileSystem

        plain = type(self.files).find is AbstractFileSystem.find or (
            isinstance(self.files, AsyncFileSystem) and type(self.files)._find is AsyncFileSystem._find
        )
        return list(self.files.find(f"{path}/", **({"on_error": "raise"} if plain else {})))

    def _trying(self, doing: str, operation: Callable[[], Any]) -> Any:
        """Performs an operation, and retries it after a pause if the failure may be temporary.

        Raises:
            FileNotFoundError: there is no such object or bucket.
            FileExistsError: an object that should be new already exists.
            RunFolderError: the store refuses, and has never answered a request.
            StorageError: the store refuses though it has answered before, or keeps failing.
        """
        limit = self.patience if self._has_answered else min(self.patience, _FIRST_PATIENCE)
        began = self.clock()
        for pause in _pauses():
            try:
                result = operation()
            except (FileNotFoundError, FileExistsError):
                self._has_answered = True
                raise
            except RankscopeError:
                raise
            except Exception as error:  # every file system has its own errors
                if _status(error) == 412:  # precondition failed: the new object already exists
                    raise FileExistsError(doing) from error
                if not _may_pass(error):
                    raise self._refusal(doing, error) from error
                if self.clock() - began + pause > limit:
                    raise StorageError(
                        f"could not {doing}: {_reason(error)}. It was retried for {limit:g} seconds; finished "
                        "work is saved: run the same command again when the store answers"
                    ) from error
                self.sleep(pause)
            else:
                self._has_answered = True
                return result
        raise AssertionError  # pauses never end

    def _refusal(self, doing: str, error: Exception) -> RankscopeError:
        kind = StorageError if self._has_answered and not isinstance(error, FileNotFoundError) else RunFolderError
        return kind(f"could not {doing}: {_reason(error)}. Check the address and the rights to it")


def _pauses() -> Iterator[float]:
    """Seconds between attempts: doubled each time, up to a limit."""
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(2 * pause, _LONGEST_PAUSE)


def _patience() -> float:
    given = os.environ.get(PATIENCE_VARIABLE, str(_PATIENCE))
    try:
        seconds = float(given)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise SettingsError(f"{PATIENCE_VARIABLE} must be a number of seconds, got {given!r}")
    return seconds


def _file_system(scheme: str) -> AbstractFileSystem:
    import fsspec

    options: dict[str, Any] = {"skip_instance_cache": True, "use_listings_cache": False}
    if scheme in _S3:  # retries are handled here; those of botocore would multiply them
        limits = {"connect_timeout": 10, "read_timeout": 20, "max_pool_connections": _AT_ONCE}
        options["config_kwargs"] = limits | {"retries": {"max_attempts": 1}}
    try:
        files: AbstractFileSystem = fsspec.filesystem(scheme, **options)
    except ImportError as error:
        if scheme in _EXTRAS:
            raise MissingExtraError(*_EXTRAS[scheme]) from error
        raise SettingsError(f"{scheme}:// needs a package that is not installed: {first_line(error)}") from error
    except ValueError as error:
        raise SettingsError(f"{scheme}:// is not a store that fsspec supports: {first_line(error)}") from error
    if scheme in _S3:
        files.retries = 1
    return files


def _may_pass(error: Exception) -> bool:
    """Whether the same request may succeed a little later."""
    status = _status(error)
    if status is not None:
        return status >= 500 or status in _TRY_AGAIN
    module = type(error).__module__.partition(".")[0]
    if module == "botocore":  # all its other errors are about the configuration
        return any(kind.__name__ in ("HTTPClientError", "ConnectionError") for kind in type(error).__mro__)
    if isinstance(error, (PermissionError, IsADirectoryError, NotADirectoryError, TypeError, ValueError)):
        return False
    return not (isinstance(error, OSError) and error.errno in (errno.EINVAL, errno.EPERM, errno.ENAMETOOLONG))


def _status(error: BaseException | None) -> int | None:
    """The HTTP status in a client library's error or in one of its causes; None if there is none."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, dict):
            found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        else:
            places = ((response, "status_code"), (error, "status"), (error, "code"))
            found = next((value for one, name in places if (value := getattr(one, name, None))), None)
        if isinstance(found, int) and 100 <= found < 600:
            return found
        error = error.__cause__
    return None


def _reason(error: Exception) -> str:
    return without_secrets(first_line(error)).rstrip(".")[:300]
