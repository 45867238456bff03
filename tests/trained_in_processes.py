"""Trainings in several processes; importable, so that processes can start them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any


def stopped_by_an_alarm(rank: int) -> tuple[int, list[Any]]:
    """Where a training by Trainer under DDP ended, and the curve that this process logged."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29871"}

    from rankscope.integrations.transformers import SpectrumCallback
    from rankscope.monitoring import Alarms
    from tiny import SENTENCES
    from trained import curve, trainer

    callback = SpectrumCallback(SENTENCES, every=2, alarms=Alarms(floor=1e9, action="stop"))
    with tempfile.TemporaryDirectory() as folder:
        trained = trainer(Path(folder), callback)
        trained.train()
        return trained.state.global_step, curve(trained, "rankscope/last/effective_rank")
