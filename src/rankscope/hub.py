"""Checks the Hugging Face hub with one request, before other libraries query it file by file.

Without a network, those libraries retry each request for half a minute, and their messages about a gated or missing
repository fill a screen.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from rankscope.errors import first_line

if TYPE_CHECKING:
    from rankscope.errors import CallError

Kind = Literal["model", "dataset"]

_COMMIT = re.compile("[0-9a-f]{40}")
_LOG_IN = "log in with `hf auth login` or set HF_TOKEN"


def reach_hub(repository: str, kind: Kind, file: str, revision: str | None = None, *, error: type[CallError]) -> bool:
    """Whether the hub answers for a repository; if it does not, only files in its local cache can be used.

    Sends one request without retries, with a timeout of `HF_HUB_ETAG_TIMEOUT`; none if `HF_HUB_OFFLINE` is set, or if
    the revision is a commit whose file is in the cache. A busy or broken hub counts as an answer: the libraries that
    download will retry.

    Args:
        repository: `owner/name`.
        kind: `model` or `dataset`.
        file: one of its files; it need not exist.
        revision: branch, tag or commit.
        error: the class of error to raise.

    Raises:
        CallError: of the given class: no such repository or revision, a gated one, a rejected token, or no
            answer and nothing in the cache.
    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        url = hf_hub_url(repository, file, repo_type=kind, revision=revision)
        is_here = try_to_load_from_cache(repository, file, repo_type=kind, revision=revision) is not None
        if is_here and _COMMIT.fullmatch(revision or ""):
            return True
        get_hf_file_metadata(url, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    except HFValidationError as fault:
        raise error(f"{repository!r} is not a hub id: {first_line(fault)}") from fault
    except HfHubHTTPError as fault:
        if message := refusal(fault, repository, kind, revision):
            raise error(message) from fault
    except (OSError, HfHubHTTPError.__bases__[0]) as fault:  # httpx's or httpx2's HTTPError: versions differ
        if not is_here:
            raise error(_no_answer(fault, repository)) from fault
        return False
    return True


def refusal(fault: BaseException, repository: str, kind: Kind, revision: str | None = None) -> str | None:
    """The message if the hub refused access to a repository; None for any other fault.

    Args:
        fault: from huggingface_hub, or from a library that passes on its error.
        repository: `owner/name`.
        kind: `model` or `dataset`.
        revision: the requested one.
    """
    from huggingface_hub import constants, errors, get_token

    found: BaseException | None = fault
    while found is not None and not isinstance(found, errors.HfHubHTTPError):
        found = found.__cause__ or found.__context__
    what = "data set" if kind == "dataset" else kind
    page = f"{constants.ENDPOINT}/{'datasets/' if kind == 'dataset' else ''}{repository}"
    message = None
    if isinstance(found, errors.GatedRepoError):
        then = "make sure that your token belongs to that account" if get_token() else _LOG_IN
        message = f"{what} {repository} is gated: accept its terms at {page}, then {then}"
    elif isinstance(found, errors.RepositoryNotFoundError):
        then = "make sure that your token can read it" if get_token() else _LOG_IN
        message = f"no {what} {repository} on the hub ({page}): check the spelling; if it is private, {then}"
    elif isinstance(found, errors.RevisionNotFoundError):
        message = f"{what} {repository} has no revision {revision!r}: {page}/tree/main lists branches and tags"
    elif isinstance(found, errors.DisabledRepoError):
        message = f"{what} {repository} has been disabled by the hub: see {page}"
    elif found is not None and found.response.status_code == 401:
        message = f"the hub rejected your token, which may have expired: {_LOG_IN}"
    return message


def _no_answer(fault: BaseException, repository: str) -> str:
    from huggingface_hub import constants, is_offline_mode

    absent = f"{repository} is not in the hub's cache ({constants.HF_HUB_CACHE})"
    if is_offline_mode():
        return f"{absent}, and HF_HUB_OFFLINE prevents downloading it: unset it, or use local files"
    return (
        f"cannot reach the hub at {constants.ENDPOINT} ({first_line(fault)}), and {absent}: "
        "check the connection, or use local files"
    )
