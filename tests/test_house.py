"""The structure: data goes from the bottom floor to the top, and importing is light."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import house
import rankscope

SOURCE, TESTS = Path(rankscope.__file__).parent, Path(__file__).parent
BELOW_STUDIES = {
    "metrics",
    "texts",
    "statistics",
    "tables",
    "models",
    "measuring",
    "monitoring",
    "integrations",
    "runs",
}
MAY_IMPORT = {
    "metrics": set(),
    "texts": set(),
    "statistics": {"metrics"},
    "tables": {"metrics", "statistics"},
    "models": {"metrics"},
    "measuring": {"metrics", "models", "texts"},
    "monitoring": {"metrics", "models", "texts", "statistics", "measuring"},
    "integrations": {"metrics", "models", "texts", "monitoring"},
    "runs": {"metrics", "texts", "statistics", "tables", "models", "measuring", "integrations"},
    "studies": BELOW_STUDIES,
    "reports": {"metrics", "models", "statistics", "tables", "runs", "studies"},
    "cli": BELOW_STUDIES | {"studies", "reports"},
}
"""Each floor, from the bottom to the top, with those that it may import. Files outside the floors are open to all."""

COVERS = {
    "cli/test_main.py": ("cli/cache.py", "cli/evaluate.py", "cli/listing.py", "cli/merge.py", "cli/study.py"),
    "cli/test_terminal.py": ("cli/compare.py",),
    "integrations/test_ray.py": ("integrations/ray_connection.py",),
    "integrations/test_harness.py": ("texts/benchmark_rows.py",),
    "measuring/test_on_cuda.py": (),
    "measuring/test_reads.py": (),
    "metrics/test_whose_number.py": (),
    "models/test_every_class.py": (),
    "models/test_forward_pass.py": ("models/network.py",),
    "models/test_initialization.py": ("models/initializer_reads.py", "models/outline.py"),
    "models/test_transformers_backend.py": ("models/backend.py",),
    "models/test_trial.py": ("models/blocks.py",),
    "reports/charts/test_charts.py": tuple(
        f"reports/charts/{name}.py"
        for name in ("alignment", "figure", "layers", "models", "spectra", "texts", "training")
    ),
    "reports/test_report.py": ("reports/compared.py", "reports/rows.py", "reports/section.py", "tables/headline.py"),
    "reports/test_study_report.py": ("reports/charts/study.py",),
    "runs/test_alignment.py": ("measuring/integration.py", "measuring/pairs.py"),
    "runs/test_distributed.py": ("runs/engine.py",),
    "runs/test_comparison.py": ("runs/difference.py",),
    "runs/test_evaluation.py": (
        "runs/job.py", "runs/preparation.py", "runs/record.py", "runs/run.py", "runs/session.py", "runs/subject.py",
        "runs/summary.py",
    ),
    "runs/test_folder.py": ("measuring/columns.py", "runs/manifest.py", "runs/parquet.py"),
    "runs/test_responses.py": ("runs/answers.py",),
    "runs/test_readings.py": (),
    "runs/test_runs_in_a_store.py": (),
    "runs/test_shards.py": ("runs/inventory.py",),
    "runs/test_twin_cache.py": ("runs/shared_twins.py",),
    "runs/test_watching.py": ("runs/kept_checkpoints.py",),
    "studies/test_conduct.py": tuple(
        f"studies/{name}.py"
        for name in (
            "questions/aggregation", "questions/benchmarks", "questions/families", "questions/layers",
            "questions/multimodal", "questions/perturbations", "questions/prompts", "questions/responses",
            "questions/rotation", "questions/sampling", "questions/scaling", "questions/timing", "study",
        )
    ),
    "studies/compression/test_removal_sentences.py": ("studies/compression/removal.py",),
    "studies/questions/test_compression.py": tuple(
        f"studies/compression/{name}.py" for name in ("layers_file", "low_rank", "saving", "workbench")
    ),
    "test_settings.py": ("setting_values.py",),
    "texts/test_files.py": ("texts/json_rows.py",),
    "texts/test_loading.py": ("texts/text.py", "texts/text_set.py"),
}  # fmt: skip
"""Tests of what several modules do together, with the modules that have no test file of their own for that reason."""


def test_a_floor_imports_only_what_lies_below() -> None:
    assert house.broken_walls(SOURCE, MAY_IMPORT) == []
    assert len(list(house.imports(SOURCE))) > 500  # so many are looked at


def test_every_folder_is_a_known_floor() -> None:
    folders = {path.name for path in SOURCE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(MAY_IMPORT)


def test_imports_run_in_no_circle() -> None:
    assert house.import_circle(SOURCE) == []


def test_files_and_functions_are_short() -> None:
    assert house.too_long(SOURCE) == {}


def test_tests_mirror_the_source() -> None:
    assert house.unmirrored(SOURCE, TESTS, COVERS) == []


def modules_after(code: str) -> set[str]:
    listing = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(listing.stdout.split())


def test_importing_the_library_is_light() -> None:
    assert not {"torch", "transformers", "datasets", "polars"} & modules_after("import rankscope")


def test_the_metrics_need_torch_alone() -> None:
    assert not {"transformers", "datasets", "polars"} & modules_after("import rankscope; rankscope.effective_rank")


def test_help_does_not_import_torch() -> None:
    code = "import rankscope.cli\ntry: rankscope.cli.main(['--help'])\nexcept SystemExit: pass\nimport sys; "
    code += "print(*sys.modules)"
    listing = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "datasets", "polars"} & set(listing.stdout.split())
    assert "evaluate" in listing.stdout


def test_the_table_of_contents_is_complete() -> None:
    assert set(rankscope._HOME) == set(rankscope.__all__)
    for name in rankscope.__all__:
        assert getattr(rankscope, name).__name__ == name
    assert set(rankscope.__all__) < set(dir(rankscope))
    with pytest.raises(AttributeError, match="no attribute 'efective_rank'"):
        rankscope.efective_rank  # noqa: B018
