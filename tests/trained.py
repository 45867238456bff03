"""Short trainings of a tiny model with dropout, by Trainer and by Lightning, and what is left of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Trainer, TrainingArguments

from tiny import SENTENCES, tiny_model, tiny_tokenizer

STEPS = 5


class Texts(torch.utils.data.Dataset[dict[str, Tensor]]):
    """The tiny sentences as examples of one length."""

    def __init__(self) -> None:
        tokens = tiny_tokenizer()(SENTENCES, padding="max_length", truncation=True, max_length=16, return_tensors="pt")
        self.tokens, self.mask = tokens.input_ids, tokens.attention_mask

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, place: int) -> dict[str, Tensor]:
        labels = self.tokens[place].masked_fill(self.mask[place] == 0, -100)
        return {"input_ids": self.tokens[place], "attention_mask": self.mask[place], "labels": labels}


def model_to_train() -> Any:
    return tiny_model("gpt2")  # its dropout is 0.1, in eight places


def trainer(folder: Path, *callbacks: Any, **arguments: Any) -> Trainer:
    given = {
        "output_dir": str(folder), "max_steps": STEPS, "per_device_train_batch_size": 2, "learning_rate": 1e-2,
        "logging_steps": 1, "report_to": "none", "save_strategy": "no", "use_cpu": True, "disable_tqdm": True, "seed": 3,
    }  # fmt: skip
    return Trainer(
        model_to_train(),
        TrainingArguments(**given | arguments),
        train_dataset=Texts(),
        eval_dataset=Texts(),
        processing_class=tiny_tokenizer(),
        callbacks=list(callbacks),
    )


def history(trained: Trainer) -> list[dict[str, Any]]:
    """What the trainer logged, without times and without values of ours."""
    entries = [
        {name: value for name, value in entry.items() if not name.endswith(("_runtime", "_per_second"))}
        for entry in trained.state.log_history
    ]
    return [entry for entry in entries if not any(name.startswith("rankscope/") for name in entry)]


def curve(trained: Trainer, name: str) -> list[tuple[int, float]]:
    return [(entry["step"], entry[name]) for entry in trained.state.log_history if name in entry]


def weights(model: nn.Module) -> dict[str, bytes]:
    return {name: weight.numpy().tobytes() for name, weight in model.state_dict().items()}
