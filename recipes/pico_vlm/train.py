"""Trains pico-vlm: a small vision-language model with LLaVA's architecture, for demonstrations and tests.

    python recipes/pico_vlm/train.py --output OUT

Pictures and descriptions are drawn scenes (rankscope.texts.drawn_scenes), generated during training; one in ten
combinations of colours, shapes and relation is held out. Stages and sizes are in `pico_vlm.toml` next to this file:

    tower      the vision tower is trained together with a connector and a language model, which are then discarded
    connector  a new connector is trained between the tower and pico-0.4m, which are both frozen
    tuning     the connector and the language model's blocks are trained together; its embeddings stay frozen

Everything is seeded. The tower is stored when it is finished, and a second call continues from there.
"""

from __future__ import annotations

import argparse
import json
import math
import time
import tomllib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import (
    AutoTokenizer,
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    GPTNeoXConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
)

from rankscope.models.pico import TOKENIZER, pico_folder
from rankscope.models.pico_vlm import IMAGE_TOKEN, LANGUAGE_MODEL, assemble
from rankscope.texts.drawn_scenes import INSTRUCTION, SIDE, Scene, distractors, draw, scenes

TRAINING_SCENES = 1_000_000  # first seed of training scenes; held-out scenes start at 0
SLOTS = 7
AT_ONCE = 25  # scenes


class Reader:
    """Turns scenes into batches: pixels, token ids that start with the image, and labels for the description only."""

    def __init__(self, config: LlavaConfig, folder: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(TOKENIZER)
        self.processor = CLIPImageProcessorPil.from_pretrained(folder)
        image = [config.image_token_id] * (SIDE // config.vision_config.patch_size) ** 2
        self.before = [*image, *self.tokenizer(INSTRUCTION + "\n").input_ids]

    def pixels(self, drawn: list[tuple[int, Scene]]) -> Tensor:
        """The pictures, (scenes, 3, side, side)."""
        return self.processor([draw(scene, seed) for seed, scene in drawn], return_tensors="pt")["pixel_values"]

    def tokens(self, captions: list[str]) -> tuple[Tensor, Tensor, Tensor]:
        """Ids, labels and mask of image, instruction and description, with an end token after each description."""
        endings = [[*self.tokenizer(caption).input_ids, self.tokenizer.eos_token_id] for caption in captions]
        longest = max(map(len, endings))
        ids = torch.tensor([self.before + ending + [0] * (longest - len(ending)) for ending in endings])
        places = torch.arange(ids.shape[1])
        ends = torch.tensor([len(self.before) + len(ending) for ending in endings])[:, None]
        labels = torch.where((places >= len(self.before)) & (places < ends), ids, -100)
        return ids, labels, (places < ends).long()

    def losses(self, model: LlavaForConditionalGeneration, pixels: Tensor, captions: list[str]) -> Tensor:
        """Mean loss of each description, (scenes,)."""
        ids, labels, mask = self.tokens(captions)
        logits = model(pixel_values=pixels, input_ids=ids, attention_mask=mask).logits[:, len(self.before) - 1 : -1]
        labels = labels[:, len(self.before) :]
        each = nn.functional.cross_entropy(logits.transpose(1, 2), labels, reduction="none")
        return each.sum(dim=1) / (labels != -100).sum(dim=1)


def make_config(recipe: dict[str, Any]) -> LlavaConfig:
    """A LLaVA configuration with a small vision tower and the language model's configuration."""
    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER)
    text = GPTNeoXConfig.from_pretrained(pico_folder(LANGUAGE_MODEL))
    text.tie_word_embeddings, text.dtype = False, torch.float32
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(image_size=SIDE, **recipe["vision"]),
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE_TOKEN),
        vision_feature_layer=-1,
        image_seq_length=(SIDE // recipe["vision"]["patch_size"]) ** 2,
        tie_word_embeddings=False,
    )
    config.dtype = torch.float32
    return config


def learning_rate(step: int, stage: dict[str, Any], training: dict[str, Any]) -> float:
    """Linear warm-up, then a cosine down to the final share."""
    if step < training["warmup"]:
        return stage["learning_rate"] * (step + 1) / training["warmup"]
    cosine = (1 + math.cos(math.pi * step / stage["steps"])) / 2
    return stage["learning_rate"] * (training["final_rate"] + (1 - training["final_rate"]) * cosine)


class Stage:
    """The training of a model's trainable parameters in one stage, with a log."""

    def __init__(self, name: str, recipe: dict[str, Any], model: LlavaForConditionalGeneration, reader: Reader) -> None:
        self.name, self.model, self.reader = name, model, reader
        self.stage, self.training = recipe["stages"][name], recipe["training"]
        self.first_scene = TRAINING_SCENES * (1 + 100 * list(recipe["stages"]).index(name))
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=0.0, betas=(0.9, 0.98), weight_decay=self.training["weight_decay"]
        )
        self.held_out = list(islice(scenes(held_out=True), 100))

    def run(self, log: Path) -> Iterator[int]:
        """Trains to the end; yields the number of steps done, before each step and after the last one.

        Every `report_every` steps, and at the end, a log line is written after the step.
        """
        drawn = scenes(held_out=False, seed=self.first_scene)
        started = time.perf_counter()
        with log.open("a") as file:
            for step in range(self.stage["steps"] + 1):
                yield step
                loss = (
                    self.update(list(islice(drawn, self.training["batch"])), step)
                    if step < self.stage["steps"]
                    else None
                )
                if step % self.training["report_every"] == 0 or step == self.stage["steps"]:
                    line = {"stage": self.name, "step": step, "train_loss": loss, "held_out_loss": self.validate()}
                    line["seconds"] = round(time.perf_counter() - started, 1)
                    print(json.dumps(line), file=file, flush=True)
                    print(line, flush=True)

    def update(self, drawn: list[tuple[int, Scene]], step: int) -> float:
        """One step of the optimizer."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(step, self.stage, self.training)
        captions = [scene.caption for _, scene in drawn]
        loss = self.reader.losses(self.model, self.reader.pixels(drawn), captions).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item()

    @torch.inference_mode()
    def validate(self) -> float:
        """Loss on held-out scenes."""
        captions = [scene.caption for _, scene in self.held_out]
        return float(self.reader.losses(self.model, self.reader.pixels(self.held_out), captions).mean())


def train_tower(recipe: dict[str, Any], config: LlavaConfig, reader: Reader, output: Path) -> None:
    """Trains a whole model and stores its vision tower."""
    torch.manual_seed(recipe["training"]["seed"])
    model = assemble(config)
    for _ in Stage("tower", recipe, model, reader).run(output / "log.jsonl"):
        pass
    save([("model.vision_tower", model.model.vision_tower)], output / "tower.safetensors")


def train_connector(recipe: dict[str, Any], config: LlavaConfig, reader: Reader, output: Path) -> None:
    """Trains the connector alone, then with the language model's blocks; stores and measures the checkpoints."""
    torch.manual_seed(recipe["training"]["seed"] + 1)
    model = assemble(config)
    model.load_state_dict(load_file(output / "tower.safetensors"), strict=False)
    connector, language_model = model.model.multi_modal_projector, model.model.language_model
    model.requires_grad_(False)
    trained = [("model.multi_modal_projector", connector.requires_grad_(True))]
    family = []

    def keep(stage: str, step: int, name: str) -> None:
        folder = output / name
        config.save_pretrained(folder)
        reader.processor.save_pretrained(folder)
        save(trained, folder / "model.safetensors")
        family.append({"name": name, "stage": stage, "step": step, **measure(model, reader, recipe["measures"])})
        print(family[-1], flush=True)
        (output / "family.json").write_text(json.dumps(family, indent=1) + "\n")

    first, then = recipe["stages"]["connector"], recipe["stages"]["tuning"]
    for step in Stage("connector", recipe, model, reader).run(output / "log.jsonl"):
        if step in (*first["checkpoints"], first["steps"]):
            keep("connector", step, f"pico-vlm@step-{step}")
    blocks = [
        (f"model.language_model.{name}", getattr(language_model, name)) for name in ("layers", "final_layer_norm")
    ]
    trained += [(path, module.requires_grad_(True)) for path, module in blocks]
    for step in Stage("tuning", recipe, model, reader).run(output / "log.jsonl"):
        if step in then["checkpoints"]:
            keep("tuning", first["steps"] + step, f"pico-vlm@step-{first['steps'] + step}")
    keep("tuning", first["steps"] + then["steps"], "pico-vlm")


@torch.inference_mode()
def measure(model: LlavaForConditionalGeneration, reader: Reader, measures: dict[str, Any]) -> dict[str, float]:
    """Quality on held-out scenes: loss, choice among candidates, and correct words in the model's own descriptions."""
    drawn, candidates = list(islice(scenes(held_out=True), measures["scenes"])), measures["candidates"]
    losses, slots = [], []
    for start in range(0, len(drawn), AT_ONCE):
        part = drawn[start : start + AT_ONCE]
        pixels = reader.pixels(part)
        captions = [one.caption for seed, scene in part for one in (scene, *distractors(scene, seed, candidates - 1))]
        losses.append(reader.losses(model, pixels.repeat_interleave(candidates, 0), captions).view(-1, candidates))
        said = describe(model, reader, pixels)
        slots += [right_slots(words, scene) for words, (_, scene) in zip(said, part, strict=True)]
    each = torch.cat(losses)
    found = {
        "loss": float(each[:, 0].mean()),
        "candidates_right": float((each.argmin(dim=1) == 0).double().mean()),
        "slots_right": float(np.mean(slots)) / SLOTS,
        "scenes_right": float(np.mean([right == SLOTS for right in slots])),
    }
    return {name: round(value, 4) for name, value in found.items()}


def describe(model: LlavaForConditionalGeneration, reader: Reader, pixels: Tensor, longest: int = 26) -> list[str]:
    """The model's own descriptions, by greedy decoding."""
    ids = torch.tensor([reader.before] * len(pixels))
    for _ in range(longest):
        ids = torch.cat([ids, model(pixel_values=pixels, input_ids=ids, logits_to_keep=1).logits.argmax(-1)], dim=1)
    end = reader.tokenizer.eos_token
    return [reader.tokenizer.decode(row).partition(end)[0] for row in ids[:, len(reader.before) :]]


def right_slots(description: str, scene: Scene) -> int:
    """The number of correct words, of seven; either shape may come first, and the better match counts."""
    opposite = {"above": "below", "below": "above", "left of": "right of", "right of": "left of"}
    seen_from_there = Scene(scene.second, opposite[scene.relation], scene.first)
    said = words(description)
    return max(
        sum(one == other for one, other in zip(said, words(way.caption), strict=False))
        for way in (scene, seen_from_there)
    )


def words(caption: str) -> list[str]:
    """The seven content words of a description."""
    fillers = {"A", "a", "is", "of"}
    return [word for word in caption.rstrip(".").split() if word not in fillers]


def save(modules: list[tuple[str, nn.Module]], file: Path) -> None:
    """Stores modules in float16 under their names in the whole model."""
    weights = {f"{path}.{name}": tensor for path, module in modules for name, tensor in module.state_dict().items()}
    save_file({name: tensor.half().contiguous() for name, tensor in weights.items()}, file)


def main() -> None:
    """Trains the tower unless it is already stored, then the rest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, default=Path(__file__).with_name("pico_vlm.toml"))
    options = parser.parse_args()
    recipe = tomllib.loads(options.recipe.read_text())
    options.output.mkdir(parents=True, exist_ok=True)
    config = make_config(recipe)
    side = {"height": SIDE, "width": SIDE}
    CLIPImageProcessorPil(size=side, crop_size=side, do_convert_rgb=True).save_pretrained(options.output)
    reader = Reader(config, options.output)
    if not (options.output / "tower.safetensors").exists():
        train_tower(recipe, config, reader, options.output)
    train_connector(recipe, config, reader, options.output)


if __name__ == "__main__":
    main()
