"""`rankscope cache`: measurements of untrained twins kept between runs."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Literal


def cache(what: Literal["list", "clear"] = "list", /) -> None:
    """Show or clear the cached measurements of untrained twins.

    The cache is in RANKSCOPE_CACHE, by default rankscope/twins in the user's cache folder, and takes up to
    RANKSCOPE_CACHE_MIB MiB (default: 1024). RANKSCOPE_CACHE may be an object store address, which has no size limit.

    For example:

        rankscope cache clear

    Args:
        what: list or clear.
    """
    from rich.console import Console
    from rich.table import Table

    from rankscope.runs import SharedTwinCache, default_twin_cache

    twins = default_twin_cache()
    console = Console(file=sys.stdout, highlight=False)
    if what == "clear":
        console.print(f"removed {twins.clear()} files from {twins.folder}", soft_wrap=True)
        return
    if isinstance(twins, SharedTwinCache):
        count = len(twins.keys())
        console.print(f"{count:,} {'twin' if count == 1 else 'twins'} in {twins.folder}", soft_wrap=True)
        return
    entries = twins.entries()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("twin", "KiB", "last used"):
        table.add_column(heading, justify="left" if heading == "twin" else "right")
    for file, size, used in entries:
        table.add_row(file.stem[:16], f"{size / 1024:,.0f}", f"{datetime.fromtimestamp(used):%Y-%m-%d %H:%M}")
    if entries:
        console.print(table)
    total = sum(size for _, size, _ in entries) / 2**20
    console.print(
        f"{len(entries)} twins, {total:,.1f} of {twins.limit / 2**20:,.0f} MiB, in {twins.folder}", soft_wrap=True
    )
