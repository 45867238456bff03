from __future__ import annotations

import polars as pl
import pytest

from rankscope.errors import UnknownNameError
from rankscope.studies import STUDIES, printed, printed_tables
from rankscope.studies.published import alignment_printed, first_printed
from rankscope.studies.questions import families, scaling


def test_printed_values_are_found_by_hub_id_and_data() -> None:
    assert printed("diff_erank.table6", "facebook/opt-1.3b", "wikipedia", "diff_erank") == 136.20
    assert printed("diff_erank.table1", "facebook/opt-13b", "piqa", "accuracy") == 0.767
    assert printed("mnn.table10", "cerebras/Cerebras-GPT-111M", "dolly-15k", "matrix_nuclear_norm") == 0.6207
    assert printed("mnn.table13", "cerebras/Cerebras-GPT-13B", "1024") == 0.5028
    assert printed("diff_erank.table7", "apple/OpenELM-3B", "diff_erank") == 119.40


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("facebook/opt-350m", ("wikipedia", "diff_erank")),  # not in the table
        ("cerebras/Cerebras-GPT-1.3B", ("wikipedia", "diff_erank")),  # the same label in another family
        ("facebook/opt-1.3b@revision", ("wikipedia", "diff_erank")),  # other weights
        ("facebook/opt-1.3b", ("stdlib-docs", "diff_erank")),
        ("pico-1m", ("wikipedia", "diff_erank")),
    ],
)
def test_nothing_is_printed_for_another_model_or_other_data(model: str, path: tuple[str, ...]) -> None:
    assert printed("diff_erank.table6", model, *path) is None


def test_the_first_table_that_prints_something_counts() -> None:
    tables = ("mnn.table10", "mnn.table11")
    assert first_printed(tables, "cerebras/Cerebras-GPT-13B", "wikipedia", "matrix_nuclear_norm") == 0.4708
    assert first_printed(tables, "EleutherAI/pythia-70m", "wikipedia", "matrix_nuclear_norm") == 0.6996
    assert first_printed(tables, "facebook/opt-13b", "wikipedia", "matrix_nuclear_norm") is None


def test_studies_find_their_models_in_the_papers() -> None:
    row = {"model": "EleutherAI/pythia-70m", "dataset": "dolly-15k", "layer": "last"}
    cells = {name: value for name, value in scaling.published(row).items() if value is not None}
    assert cells == {"normalized_matrix_entropy": 0.6707, "matrix_nuclear_norm": 0.6984}
    row = {"model": "apple/OpenELM-3B", "dataset": "dolly-15k", "layer": "last"}
    assert families._published(row) == {"diff_erank": 119.40, "reduced_loss": 9.0060, "accuracy": 0.7188}


def test_an_unknown_table_has_close_matches() -> None:
    with pytest.raises(UnknownNameError, match="diff_erank.table6"):
        printed("diff_erank.table66", "facebook/opt-1.3b")


def test_printed_alignments_are_those_of_the_papers_models_and_data() -> None:
    found = alignment_printed("diff_erank.table2", "minigpt-v2=meta-llama/Llama-2-7b-chat-hf,a,b", "cc_sbu_align")
    assert (found["erank5"], found["image_text_alignment"]) == (93.29, 0.6955)
    assert alignment_printed("diff_erank.table3", "llava-hf/llava-1.5-7b-hf", "rotated")["erank1"] == 19.20
    assert alignment_printed("diff_erank.table3", "minigpt-v2=a,b,c", "rotated") == {}
    assert alignment_printed("diff_erank.table2", "pico-vlm", "detail_23k") == {}
    assert alignment_printed("diff_erank.table2", "llava-hf/llava-1.5-7b-hf", "drawn-scenes") == {}


def test_every_study_lists_what_its_tables_print() -> None:
    of_no_paper = {name for name, study in STUDIES.items() if not study.published}
    assert of_no_paper == {"architectures", "compression"}
    for name in STUDIES.keys() - of_no_paper:
        assert printed_tables(STUDIES[name].published).height > 0, name
    tidy = printed_tables(("diff_erank.table10", "mnn.table10"))
    stage = tidy.filter(pl.col("model") == "overfitting", pl.col("column") == "loss").row(0, named=True)
    assert (stage["value"], stage["source"], stage["table"]) == (4.663, "arXiv 2401.17139", "table10")
