"""Trains the pico family: small language models of several sizes and architectures, for demonstrations and tests.

    python recipes/pico/train.py --output OUT --text stories.txt articles.jsonl.gz:text

`--text` takes plain text files (cut at empty lines into documents of about two thousand characters) and
JSON lines, followed by a colon and the field with the text; both may be .gz files. Sizes and schedule are
in `pico.toml` next to this file. Run the same command again to resume a stopped training. Everything is
seeded: the same texts and the same number of threads give the same losses.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

END = "<|endoftext|>"


def read_documents(source: str) -> Iterator[str]:
    """The documents of a file: `FILE` of plain text, or `FILE:FIELD` of JSON lines."""
    path, _, field = source.partition(":")
    file = Path(path)
    content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    if field:
        documents = (json.loads(line)[field] for line in content.split(b"\n") if line.strip())
    else:
        documents = pages(content.decode("utf-8").replace("\r\n", "\n"))
    yield from (document.strip() for document in documents if document.strip())


def pages(text: str, characters: int = 2000) -> Iterator[str]:
    """Paragraphs joined into pages of at least the given number of characters; the last page may be shorter."""
    page = ""
    for paragraph in text.split("\n\n"):
        page = f"{page}\n\n{paragraph}" if page else paragraph
        if len(page) >= characters:
            yield page
            page = ""
    yield page


def split_documents(sources: list[str], validation_share: int, seed: int) -> tuple[list[str], list[str]]:
    """Shuffles the documents of all sources; one in `validation_share` is held out."""
    documents = [document for source in sources for document in read_documents(source)]
    order = torch.randperm(len(documents), generator=torch.Generator().manual_seed(seed)).tolist()
    shuffled = [documents[place] for place in order]
    held_out = shuffled[::validation_share]
    del shuffled[::validation_share]
    return shuffled, held_out


def make_tokenizer(documents: list[str], data: dict[str, Any], folder: Path) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of the given vocabulary size; trained once, then read from its folder."""
    if not (folder / "tokenizer.json").exists():
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=data["vocabulary"], special_tokens=[END], initial_alphabet=alphabet)
        tokenizer.train_from_iterator(documents, trainer)
        fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, bos_token=END, pad_token=END)
        fast.model_max_length = data["context"]
        fast.save_pretrained(folder)
    return PreTrainedTokenizerFast.from_pretrained(folder)


def make_windows(documents: list[str], tokenizer: PreTrainedTokenizerFast, context: int) -> Tensor:
    """Documents concatenated, with an end token after each, and cut into windows (windows, context + 1)."""
    end = tokenizer.eos_token_id
    stream = [token for ids in tokenizer(documents, verbose=False).input_ids for token in (*ids, end)]
    count = (len(stream) - 1) // context
    starts = torch.arange(count)[:, None] * context + torch.arange(context + 1)
    return torch.tensor(stream)[starts]


def make_model(sizes: dict[str, Any], data: dict[str, Any], seed: int) -> PreTrainedModel:
    """The untrained model, that is, step 0."""
    config = AutoConfig.for_model(
        sizes["model_type"],
        vocab_size=data["vocabulary"],
        max_position_embeddings=data["context"],  # positions beyond the training context would be untrained
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
        use_cache=False,
        **sizes["config"],
    )
    torch.manual_seed(seed)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def learning_rate(step: int, peak: float, training: dict[str, Any]) -> float:
    """Linear warm-up, then a cosine down to the final share."""
    if step < training["warmup"]:
        return peak * (step + 1) / training["warmup"]
    progress = (step - training["warmup"]) / max(1, training["steps"] - training["warmup"])
    cosine = (1 + math.cos(math.pi * min(1.0, progress))) / 2
    return peak * (training["final_rate"] + (1 - training["final_rate"]) * cosine)


def losses_of(model: PreTrainedModel, windows: Tensor) -> tuple[Tensor, Tensor | float]:
    """Mean next-token cross-entropy in nats per token, and the penalty for uneven use of experts."""
    weight = getattr(model.config, "router_aux_loss_coef", 0.0)
    output = model(input_ids=windows[:, :-1], **({"output_router_logits": True} if weight else {}))
    loss = torch.nn.functional.cross_entropy(output.logits.flatten(0, 1), windows[:, 1:].flatten())
    return loss, weight * output.aux_loss if weight else 0.0


@torch.inference_mode()
def validate(model: PreTrainedModel, windows: Tensor) -> float:
    """Loss on the held-out windows."""
    model.eval()
    losses = [losses_of(model, part)[0] * len(part) for part in windows.split(16)]
    model.train()
    return float(torch.stack(losses).sum() / len(windows))


def save(model: PreTrainedModel, folder: Path) -> None:
    """Stores the configuration, weights in float16 and buffers unchanged, without the tokenizer."""
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for weight in model.parameters():
        weight.data = weight.data.half()
    model.save_pretrained(folder)
    model.float().load_state_dict(weights)


class Trainer:
    """The training of one model; its state is stored in a file, so that a stopped training can resume."""

    def __init__(self, name: str, recipe: dict[str, Any], folder: Path, start: Path | None = None) -> None:
        self.name, self.folder = name, folder
        self.sizes, self.training = recipe["models"][name], recipe["training"]
        self.model = make_model(self.sizes, recipe["data"], self.training["seed"]).train()
        decayed = [weight for weight in self.model.parameters() if weight.dim() > 1]
        others = [weight for weight in self.model.parameters() if weight.dim() <= 1]
        groups = [{"params": decayed, "weight_decay": self.training["weight_decay"]}, {"params": others}]
        self.optimizer = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.95), weight_decay=0.0)
        self.step, self.seconds, self.train_loss = 0, 0.0, None
        folder.mkdir(parents=True, exist_ok=True)
        kept = next((place / "state.pt" for place in (folder, start) if place and (place / "state.pt").exists()), None)
        if kept:
            self.go_on(torch.load(kept, weights_only=True))
        self.forget_later_lines()

    def go_on(self, state: dict[str, Any]) -> None:
        """Restores a stored state."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds, self.train_loss = state["step"], state["seconds"], state["train_loss"]

    def forget_later_lines(self) -> None:
        """Drops log lines from after the last stored state, because those steps will be repeated."""
        log = self.folder / "log.jsonl"
        lines = log.read_text().splitlines() if log.exists() else []
        log.write_text("".join(f"{line}\n" for line in lines if 0 < self.step >= json.loads(line)["step"]))

    def run(self, windows: Tensor, validation: Tensor, until: int) -> None:
        """Trains up to a step; goes through the windows in a seeded order, repeatedly if necessary."""
        order = torch.randperm(len(windows), generator=torch.Generator().manual_seed(self.training["seed"]))
        if self.step == 0:
            self.report(validation)
        while self.step < until:
            started = time.perf_counter()
            self.update(windows[order[self.places(len(order))]])
            self.seconds += time.perf_counter() - started
            if self.step % self.training["validate_every"] == 0 or self.step == until:
                self.report(validation)
            if self.step % self.training["save_every"] == 0 or self.step == until:
                self.keep()

    def places(self, count: int) -> Tensor:
        """Positions in the order of the next batch's windows."""
        batch = self.training["batch"]
        return torch.arange(self.step * batch, (self.step + 1) * batch) % count

    def update(self, windows: Tensor) -> None:
        """One step of the optimizer."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.sizes["learning_rate"], self.training)
        loss, balance = losses_of(self.model, windows)
        (loss + balance).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        self.train_loss = float(loss.detach())

    def report(self, validation: Tensor) -> None:
        """Prints a line and adds it to log.jsonl; saves a checkpoint if the recipe lists this step."""
        if self.step in self.sizes.get("checkpoints", ()):
            save(self.model, self.folder.with_name(f"{self.name}@step-{self.step}"))
        line = {
            "step": self.step,
            "train_loss": self.train_loss,
            "validation_loss": validate(self.model, validation),
            "seconds": round(self.seconds, 1),
        }
        with (self.folder / "log.jsonl").open("a") as log:
            print(json.dumps(line), file=log)
        print(self.name, line, flush=True)

    def keep(self) -> None:
        """Writes the state to a temporary file, then moves it into place."""
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "train_loss": self.train_loss,
        }
        torch.save(state, self.folder / "state.part")
        (self.folder / "state.part").replace(self.folder / "state.pt")


def train(name: str, recipe: dict[str, Any], sources: list[str], output: Path) -> None:
    """Trains one model of the family with its checkpoints, and its overfitted continuation if the recipe has one."""
    data, training = recipe["data"], recipe["training"]
    documents, held_out = split_documents(sources, data["validation_share"], training["seed"])
    tokenizer = make_tokenizer(documents, data, output / "tokenizer")
    windows = make_windows(documents, tokenizer, data["context"])
    validation = make_windows(held_out, tokenizer, data["context"])[: data["validation_windows"]]
    trainer = Trainer(name, recipe, output / name)
    count = sum(weight.numel() for weight in trainer.model.parameters())
    print(f"{name}: {count:,} parameters, {windows.numel():,} tokens of text, {len(validation)} windows held out")
    trainer.run(windows, validation, training["steps"])
    save(trainer.model, output / name)
    if extra := trainer.sizes.get("overfit_steps"):
        further = Trainer(name, recipe, output / f"{name}@overfit", start=output / name)
        further.run(windows[: trainer.sizes["overfit_windows"]], validation, training["steps"] + extra)
        save(further.model, further.folder)


def describe(output: Path, recipe: dict[str, Any]) -> list[dict[str, Any]]:
    """Describes each stored model: sizes, number of training tokens, and the losses logged at its step."""
    tokens = recipe["training"]["batch"] * recipe["data"]["context"]
    family = []
    for file in sorted(output.glob("*/model.safetensors")):
        name, _, stage = file.parent.name.partition("@")
        log = file.parent if (file.parent / "log.jsonl").exists() else output / name
        lines = [json.loads(line) for line in (log / "log.jsonl").read_text().splitlines()]
        at = int(stage.removeprefix("step-")) if stage.startswith("step-") else lines[-1]["step"]
        model = AutoModelForCausalLM.from_pretrained(file.parent)
        config = model.config
        sizes = {"architecture": config.model_type, "parameters": model.num_parameters()}
        sizes |= {"hidden_size": config.hidden_size, "layers": config.num_hidden_layers}
        losses = next(line for line in reversed(lines) if line["step"] == at)
        family.append({"name": file.parent.name, **sizes, "tokens": at * tokens, **losses})
    places = {name: place for place, name in enumerate(recipe["models"])}
    return sorted(family, key=lambda entry: (places[entry["name"].partition("@")[0]], entry["step"]))


def main() -> None:
    """Trains the requested models, by default all of the recipe in its order."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", nargs="+", required=True, metavar="FILE[:FIELD]")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--models", nargs="+", help="default: all models of the recipe")
    parser.add_argument("--recipe", type=Path, default=Path(__file__).with_name("pico.toml"))
    options = parser.parse_args()
    recipe = tomllib.loads(options.recipe.read_text())
    for name in options.models or recipe["models"]:
        train(name, recipe, options.text, options.output)
    (options.output / "family.json").write_text(json.dumps(describe(options.output, recipe), indent=1) + "\n")


if __name__ == "__main__":
    main()
