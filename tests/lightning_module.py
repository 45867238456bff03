"""A LightningModule around a tiny model, and a short training of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import Tensor

from trained import STEPS, Texts, model_to_train


class Module(lightning.LightningModule):
    """Keeps the loss of every batch."""

    def __init__(self, *, checkpointing: bool = False) -> None:
        super().__init__()
        self.model = model_to_train()
        if checkpointing:
            self.model.gradient_checkpointing_enable()
        self.losses: list[float] = []

    def training_step(self, batch: dict[str, Tensor], _place: int) -> Tensor:
        loss = self.model(**batch).loss
        self.losses.append(float(loss.detach()))
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: dict[str, Tensor], _place: int) -> None:
        self.log("loss_of_validation", self.model(**batch).loss)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=1e-2)


def fit(folder: Path, *callbacks: Any, checkpointing: bool = False, **arguments: Any) -> tuple[Module, Any]:
    """A module after training, and its trainer."""
    lightning.seed_everything(3, verbose=False)
    module = Module(checkpointing=checkpointing)
    given = {
        "max_steps": STEPS, "accelerator": "cpu", "devices": 1, "logger": False, "enable_checkpointing": False,
        "enable_progress_bar": False, "enable_model_summary": False, "default_root_dir": folder,
        "log_every_n_steps": 1, "limit_val_batches": 0,
    }  # fmt: skip
    trainer = lightning.Trainer(**given | arguments, callbacks=list(callbacks))
    loader = torch.utils.data.DataLoader(Texts(), batch_size=2, shuffle=True)
    trainer.fit(module.train(), loader, torch.utils.data.DataLoader(Texts(), batch_size=4))
    return module, trainer
