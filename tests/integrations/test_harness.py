"""Accuracy is the harness's own: compared with the harness run by hand on the same rows."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from rankscope.errors import DataError, MissingExtraError, RankscopeError, SettingsError, UnknownNameError
from rankscope.integrations import TaskReference, accuracies, parse_task_reference
from rankscope.models import Placement, describe_model, load_model, parse_model_reference

pytestmark = pytest.mark.slow

GOALS = ("boil water", "open a jar", "dry a shirt", "find a key", "cut bread", "light a fire")
PIQA = [
    {"goal": f"To {goal},", "sol1": f"look at it for {number} days and wait.", "sol2": "use your hands and a tool."}
    for number, goal in enumerate(GOALS)
]
LABELS = [1, 0, 1, 1, 0, 1]
STEMS = ("A cat is an", "The sun is a", "Ice is made of", "Birds can")
CHOICES = (["animal", "stone", "idea", "verb"], ["star", "planet", "rock", "bird"], ["water", "salt", "sand", "air"],
           ["fly", "read", "write", "sing operas"])  # fmt: skip
KEYS = ["A", "A", "B", "D"]
WINOGRANDE = [
    {"qID": str(number), "sentence": f"Ann beat Bea at {game}, so _ was happy about it.", "option1": "Ann",
     "option2": "Bea", "answer": "21"[number % 2]}
    for number, game in enumerate(("chess", "tennis", "cards"))
]  # fmt: skip

OPENBOOKQA_HUB = [
    {"question_stem": stem, "choices": {"text": choices, "label": list("ABCD")}, "answerKey": key}
    for stem, choices, key in zip(STEMS, CHOICES, KEYS, strict=True)
]
OPENBOOKQA_RELEASE = [
    {
        "id": str(number),
        "question": {
            "stem": row["question_stem"],
            "choices": [{"text": t, "label": n} for t, n in zip(row["choices"]["text"], "ABCD", strict=True)],
        },
        "answerKey": row["answerKey"],
    }
    for number, row in enumerate(OPENBOOKQA_HUB)
]
PIQA_HUB = [row | {"label": label} for row, label in zip(PIQA, LABELS, strict=True)]
HUB_ROWS = {"openbookqa": OPENBOOKQA_HUB, "piqa": PIQA_HUB, "winogrande": WINOGRANDE}
BOTH_METRICS = [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in ("acc", "acc_norm")]


def lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def pico() -> tuple[Any, Any]:
    description = describe_model(parse_model_reference("pico"))
    return load_model(description, Placement()), description.tokenizer


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Task references to rows in the shape of the original releases."""
    folder = tmp_path_factory.mktemp("releases")
    labels = lines(folder / "labels.lst", LABELS)
    return {
        "openbookqa": f"openbookqa={lines(folder / 'openbookqa.jsonl', OPENBOOKQA_RELEASE)}",
        "piqa": f"piqa={lines(folder / 'piqa.jsonl', PIQA)},{labels}",
        "winogrande": f"winogrande={lines(folder / 'winogrande.jsonl', WINOGRANDE)}",
    }


def definition_by_hand(name: str) -> dict[str, Any]:
    """The three tasks as the harness's documentation of them reads, written down a second time."""
    from lm_eval.tasks.winogrande import preprocess_winogrande as winogrande

    return {
        "openbookqa": {
            "doc_to_text": "{{question_stem}}",
            "doc_to_target": "{{['A', 'B', 'C', 'D'].index(answerKey)}}",
            "doc_to_choice": "{{choices.text}}",
            "metric_list": BOTH_METRICS,
        },
        "piqa": {
            "doc_to_text": "Question: {{goal}}\nAnswer:",
            "doc_to_target": "{{label}}",
            "doc_to_choice": "{{[sol1, sol2]}}",
            "metric_list": BOTH_METRICS,
        },
        "winogrande": {
            "doc_to_text": winogrande.doc_to_text,
            "doc_to_target": winogrande.doc_to_target,
            "doc_to_choice": winogrande.doc_to_choice,
            "metric_list": BOTH_METRICS[:1],
        },
    }[name]


@pytest.fixture(scope="module")
def by_hand(pico: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    """The harness's results on the same rows, without anything of ours."""
    from lm_eval import simple_evaluate
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.models.huggingface import HFLM

    folder = tmp_path_factory.mktemp("by-hand")
    tasks = []
    for name, rows in HUB_ROWS.items():
        place = {"data_files": str(lines(folder / f"{name}.jsonl", rows)), "cache_dir": str(folder / "cache")}
        config = {"task": name, "dataset_path": "json", "dataset_kwargs": place, "test_split": "train",
                  "output_type": "multiple_choice"}  # fmt: skip
        tasks.append(ConfigurableTask(config=config | definition_by_hand(name)))
    model = HFLM(pretrained=pico[0], tokenizer=pico[1], batch_size=3)
    seeds = dict.fromkeys(("random_seed", "numpy_random_seed", "torch_random_seed"))
    return simple_evaluate(model=model, tasks=tasks, **seeds)["results"]


@pytest.mark.parametrize("name", HUB_ROWS)
def test_equal_to_the_harness_run_by_hand(name: str, tmp_path: Path, pico: Any, files: Any, by_hand: Any) -> None:
    (found,) = accuracies(*pico, [files[name]], batch_size=3)
    assert found.accuracy == by_hand[name]["acc,none"]
    assert found.standard_error == by_hand[name]["acc_stderr,none"]
    assert found.accuracy_normalized == by_hand[name].get("acc_norm,none")
    assert (found.accuracy_normalized is None) is (name == "winogrande")
    assert (found.task, found.items, found.truncated) == (name, len(HUB_ROWS[name]), 0)
    (hub_shape,) = accuracies(*pico, [f"{name}={lines(tmp_path / 'rows.jsonl', HUB_ROWS[name])}"], batch_size=1)
    assert hub_shape == found


@pytest.mark.parametrize("name", HUB_ROWS)
def test_the_definition_is_the_harness_s_own(name: str, tmp_path: Path, files: dict[str, str]) -> None:
    import lm_eval.tasks
    from lm_eval.api.task import TaskConfig
    from lm_eval.tasks._yaml_loader import load_yaml

    from rankscope.integrations.harness import _definition, _open_task

    assert _definition(name).is_relative_to(Path(lm_eval.tasks.__file__).parent / name)
    own = TaskConfig(**load_yaml(_definition(name))).to_dict(keep_callable=True)
    task = _open_task(parse_task_reference(files[name]), tmp_path)
    ours = task.config.to_dict(keep_callable=True)
    replaced = {"dataset_path", "dataset_name", "dataset_kwargs", "training_split", "validation_split", "test_split",
                "fewshot_split", "fewshot_config", "num_fewshot", "metadata"}  # fmt: skip
    for field in own.keys() | ours.keys():
        if field not in replaced:
            assert ours.get(field) == own.get(field), field
    assert ours["metadata"]["version"] == own["metadata"]["version"]
    doc = task.eval_docs[1]
    asked = {
        "openbookqa": ("The sun is a", 0, CHOICES[1]),
        "piqa": ("Question: To open a jar,\nAnswer:", 0, [PIQA[1]["sol1"], PIQA[1]["sol2"]]),
        "winogrande": (0, "was happy about it.", ["Ann beat Bea at tennis, so Ann", "Ann beat Bea at tennis, so Bea"]),
    }
    assert (task.doc_to_text(doc), task.doc_to_target(doc), task.doc_to_choice(doc)) == asked[name]


def test_no_network_no_output_nothing_changed(pico: Any, files: dict[str, str], capfd: Any, monkeypatch: Any) -> None:
    attempts: list[object] = []

    def refuse(*address: object, **_options: object) -> None:
        attempts.append(address)
        raise OSError("no network in this test")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    network, tokenizer = pico
    state, before = torch.random.get_rng_state(), (tokenizer.pad_token, len(tokenizer))
    network.train()
    try:
        (found,) = accuracies(network, tokenizer, [files["piqa"]], limit=2)
        assert network.training
    finally:
        network.eval()
    assert attempts == []
    assert (tokenizer.pad_token, len(tokenizer)) == before
    assert torch.equal(torch.random.get_rng_state(), state)
    assert capfd.readouterr() == ("", "")
    assert found.items == 2
    assert found == accuracies(network, tokenizer, [TaskReference("piqa", parse_task_reference(files["piqa"]).files)],
                               limit=2)[0]  # fmt: skip


def test_long_questions_lose_their_beginning_and_are_counted(pico: Any, tmp_path: Path) -> None:
    long, other = PIQA_HUB[0] | {"goal": "word " * 400}, PIQA_HUB[1]
    (found,) = accuracies(*pico, [f"piqa={lines(tmp_path / 'long.jsonl', [long, other])}"])
    (end_alone,) = accuracies(*pico, [f"piqa={lines(tmp_path / 'end.jsonl', [long | {'goal': 'word ' * 395}, other])}"])
    assert (found.items, found.truncated) == (2, 2)
    assert found == end_alone
    beyond = lines(tmp_path / "beyond.jsonl", [other, other | {"sol1": "word " * 400}])
    with pytest.raises(RankscopeError, match="task piqa, item 1: an answer is longer than the model's 256 positions"):
        accuracies(*pico, [f"piqa={beyond}"])


def test_one_item_has_no_standard_error(pico: Any, files: dict[str, str]) -> None:
    (found,) = accuracies(*pico, [files["piqa"]], limit=1)
    assert found.standard_error is None
    assert found.accuracy in (0, 1)


def test_a_tasks_rows_in_the_hubs_shape_need_no_conversion(pico: Any, tmp_path: Path) -> None:
    """A task that the catalogue does not know."""
    row = {"support": "Ice is cold.", "question": "What is cold?", "correct_answer": "ice"}
    row |= {f"distractor{number}": "fire" for number in (1, 2, 3)}
    (found,) = accuracies(*pico, [f"sciq={lines(tmp_path / 'rows.jsonl', [row, row])}"])
    assert (found.task, found.items) == ("sciq", 2)
    assert found.accuracy in (0, 1)  # the same row twice


@pytest.mark.parametrize(
    ("task", "error", "message"),
    [
        ("piqua", UnknownNameError, "unknown task 'piqua': did you mean .*piqa"),
        ("mmlu", SettingsError, "mmlu is a task group"),
        ("piqa=absent.jsonl", DataError, "data file not found: absent.jsonl"),
        ("piqa={piqa}", DataError, r"piqa.jsonl:1: no field 'label': add the file of labels"),
        ("piqa={empty}", DataError, "no rows"),
        ("winogrande={piqa}", DataError, "piqa.jsonl:1: no field 'sentence'"),
        ("gsm8k={piqa}", DataError, "could not read the rows of task gsm8k: 'question' is undefined"),
        (
            "gsm8k={sums}",
            SettingsError,
            "task gsm8k must be a multiple-choice task that reports acc; it reports exact_match",
        ),
    ],
)
def test_what_cannot_be_measured(task: str, error: type, message: str, pico: Any, tmp_path: Path) -> None:
    places = {"piqa": lines(tmp_path / "piqa.jsonl", PIQA), "empty": lines(tmp_path / "empty.jsonl", []),
              "sums": lines(tmp_path / "sums.jsonl", [{"question": "1 + 1?", "answer": "2"}])}  # fmt: skip
    with pytest.raises(error, match=message):
        accuracies(*pico, [task.format(**places)])


def test_limits_out_of_range(pico: Any) -> None:
    with pytest.raises(SettingsError, match="limit must be an integer of at least 1, got 0"):
        accuracies(*pico, ["piqa"], limit=0)


def test_the_missing_extra_is_named(pico: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rankscope\[harness\]'"):
        accuracies(*pico, ["piqa"])
