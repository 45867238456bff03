"""Saving a model without some of its blocks, with a card that documents its origin."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from rankscope.atomic import write_text
from rankscope.errors import RunFolderError
from rankscope.models import own_dtype, without_blocks
from rankscope.runs.session import versions
from rankscope.studies.compression.rankings import RANDOM
from rankscope.studies.compression.removal import Removals, listed
from rankscope.studies.compression.removal_sentences import best_ranking
from rankscope.studies.compression.workbench import EVERY_NTH_RANKS, Workbench

if TYPE_CHECKING:
    from rankscope.studies.compression.removal import Blocks


def refuse_used_folder(folder: Path) -> None:
    """Checks that a model can be written to a folder, before anything is measured.

    Raises:
        RunFolderError: the path is a file, or a folder that is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunFolderError(f"{folder} is not an empty folder: --write needs an empty or new folder")


def write_pruned(bench: Workbench, found: Removals, count: int, folder: Path) -> str:
    """Saves the network without the blocks that the best ranking removes first, with tokenizer and model card.

    Weights are saved in the checkpoint's dtype. If random removal was best, its best draw is saved.

    Returns:
        A sentence that describes the saved model.
    """
    ranking = best_ranking(found, count)
    blocks = min(found.removed[ranking, count], key=lambda draw: found.losses[draw])
    model = bench.loaded()
    with without_blocks(model, blocks) as smaller:
        dtype: torch.dtype = getattr(torch, own_dtype(bench.model.config))
        smaller.to(dtype).save_pretrained(folder)
    bench.release()  # its weights may now have a different dtype
    bench.model.tokenizer.save_pretrained(folder)
    write_text(folder / "README.md", _card(bench, found, ranking, blocks))
    return f"{bench.model.reference.label} without blocks {listed(blocks)} ({ranking}) was saved in {folder}."


def _card(bench: Workbench, found: Removals, ranking: str, blocks: Blocks) -> str:
    from huggingface_hub import ModelCardData

    base = bench.model.reference
    hub_id = base.location if base.kind == "hub" else None
    data = ModelCardData(tags=["rankscope", "pruned"], base_model=hub_id)
    before, after = found.losses[frozenset()], found.losses[blocks]
    revision = f", revision `{bench.model.revision}`" if bench.model.revision else ""
    which = f"best of {len(found.removed[ranking, len(blocks)])} random draws" if ranking == RANDOM else ranking
    return (
        f"---\n{data.to_yaml().strip()}\n---\n\n"
        f"# {base.label} without {len(blocks)} of its {bench.blocks} blocks\n\n"
        "Whole blocks were removed; all other weights are those of the base model. It was not trained further.\n\n"
        "| | |\n| :-- | :-- |\n"
        f"| base model | `{base.label}`{revision} |\n"
        f"| fingerprint of the base | `{bench.model.fingerprint}` |\n"
        f"| blocks removed, from 1 | {listed(blocks)} |\n"
        f"| chosen by | {which} |\n"
        f"| texts | {bench.texts.name}, fingerprint `{bench.texts.fingerprint}` |\n"
        f"| for ranking | {len(bench.ranking.batches.indices)} texts, one in {EVERY_NTH_RANKS} |\n"
        f"| for the loss | the other {len(bench.judged.batches.indices)} texts, {bench.judged.tokens:,} tokens |\n"
        f"| loss before | {before:.4f} nats per token |\n"
        f"| loss after | {after:.4f} nats per token |\n"
        f"| made with | rankscope {versions()['rankscope']} |\n\n"
        "The ranking was chosen from several by this loss, so the loss may be somewhat higher on other texts.\n"
    )
