"""Notes: one line each on what is known to mislead, where it shows in these numbers.

A note has a name and a threshold, both explained in `docs/reading.md`. Each is a function from the rows
of a summary and what is known of the run to the notes that fire.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from scipy import stats

from rankscope.statistics.aggregation import Summary

COLLAPSED_TWIN, WIDE_TWIN = 0.15, 0.7  # untrained eRank over that of noise
LENGTHS_APART = 0.10
NEAR_NOISE = 0.15
RANKED_BY_SIZE = 0.9  # |Spearman|, from four models on
FEWEST_MODELS_TO_RANK = 4
FEWEST_TEXTS = 30
MANY_SKIPPED = 0.05
SINK_STABLE_RANK = 2.0  # the largest eigenvalue holds more than half of the spectrum,
SINK_SHARE = 0.5  # and the layer has less than half of the widest layer's effective rank


@dataclass(frozen=True)
class ReadingFacts:
    """How a network reads texts.

    Attributes:
        causal: whether it predicts the next token.
        padding_fault: why its texts ran one by one; None where they ran in batches.
        streams: whether hidden states between blocks are means over parallel streams.
    """

    causal: bool = True
    padding_fault: str | None = None
    streams: bool = False


@dataclass(frozen=True)
class Facts:
    """What notes need to know of a run beside its numbers.

    Attributes:
        protocol: of the twins.
        dropout: by model, the largest dropout of its configuration.
        readings: by model, how its network reads texts.
        versions: of libraries that measured parts of the run in several versions, by name.
    """

    protocol: str = "default"
    dropout: Mapping[str, float] = field(default_factory=dict)
    readings: Mapping[str, ReadingFacts] = field(default_factory=dict)
    versions: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Note:
    """A note that fired.

    Attributes:
        name: as in the documentation.
        text: one line for people.
        rows: `model | dataset | layer` of the rows concerned.
        numbers: what made it fire.
    """

    name: str
    text: str
    rows: tuple[str, ...]
    numbers: dict[str, float]


def notes_on(rows: Sequence[Summary], facts: Facts) -> list[Note]:
    """All notes that fire, in a fixed order."""
    return [note for rule in _RULES for note in rule(rows, facts)]


def _negative_diff_erank(rows: Sequence[Summary], facts: Facts) -> list[Note]:
    found = [row for row in rows if _below(row.get("diff_erank_high", row.get("diff_erank")), 0)]
    text = "Diff-eRank is negative: what the model is compared with has fewer effective dimensions than the model"
    if facts.protocol in ("default", "paper"):
        text += (
            ". That depends on how the network was initialised, and is no error "
            "(--protocol permuted gives another baseline)"
        )
    return _note("negative-diff-erank", text, found, "diff_erank")


def _initializer_unknown(rows: Sequence[Summary], _: Facts) -> list[Note]:
    found = [row for row in rows if row.get("initializer_source") == "unknown"]
    text = (
        "a GGUF file does not say how its network was initialised, so there is no untrained eRank and no Diff-eRank: "
        "give the original configuration (--config-from MODEL_OR_FOLDER) or assume a value (--initializer-range 0.02)"
    )
    return [Note("initializer-unknown", text, tuple(map(_name, found)), {})] if found else []


def _initializer_assumed(rows: Sequence[Summary], _: Facts) -> list[Note]:
    notes = []
    for source, what in (
        ("flag", "the initializer_range of the twin is an assumption (--initializer-range {})"),
        ("library default", "the configuration leaves out how weights are initialised: transformers' default ({})"),
    ):
        found = [row for row in rows if str(row.get("initializer_source")).startswith(source)]
        values = ", ".join(dict.fromkeys(f"{_number(row['initializer_range'], absent=0.0):.4g}" for row in found))
        text = f"{what.format(values)}; the untrained eRank and Diff-eRank depend on it"
        notes += _note("initializer-assumed", text, found, "initializer_range")
    return notes


def _twin_collapsed(rows: Sequence[Summary], _: Facts) -> list[Note]:
    found = [row for row in rows if _below(row.get("effective_rank_untrained_over_noise"), COLLAPSED_TWIN)]
    limit = f"{COLLAPSED_TWIN:.0%}"
    text = f"the twin is collapsed: its eRank is below {limit} of noise, so Diff-eRank says little of training"
    return _note("twin-collapsed", text, found, "effective_rank_untrained_over_noise")


def _twin_wide(rows: Sequence[Summary], _: Facts) -> list[Note]:
    found = [row for row in rows if _above(row.get("effective_rank_untrained_over_noise"), WIDE_TWIN)]
    text = (
        f"the twin is unusually wide: its eRank is above {WIDE_TWIN:.0%} of noise, so Diff-eRank mostly counts tokens"
    )
    return _note("twin-wide", text, found, "effective_rank_untrained_over_noise")


def _dropout_in_twin(rows: Sequence[Summary], facts: Facts) -> list[Note]:
    found = [row for row in rows if row.get("untrained_seeds") and facts.dropout.get(str(row["model"]), 0) > 0]
    if facts.protocol != "paper" or not found:
        return []
    largest = max(facts.dropout[str(row["model"])] for row in found)
    text = f"dropout ({largest:g}) was active in the twin, as in the published script: it widens the untrained eRank"
    return [Note("dropout-in-twin", text, tuple(map(_name, found)), {"dropout": largest})]


def _not_causal(rows: Sequence[Summary], facts: Facts) -> list[Note]:
    found = [row for row in rows if not _reading(row, facts).causal]
    text = "reads texts in both directions: it has no next-token loss, and causal models' eRank is no comparison"
    return _of_models("not-causal", text, found)


def _one_by_one(rows: Sequence[Summary], facts: Facts) -> list[Note]:
    notes = []
    for fault in dict.fromkeys(_reading(row, facts).padding_fault for row in rows):
        if fault is not None:
            found = [row for row in rows if _reading(row, facts).padding_fault == fault]
            notes += _of_models("texts-one-by-one", f"{fault}: its texts were run one at a time", found)
    return notes


def _streams(rows: Sequence[Summary], facts: Facts) -> list[Note]:
    found = [row for row in rows if row["layer"] != "last" and _reading(row, facts).streams]
    text = "carries several streams for each token between blocks: layers before 'last' are measured on their mean"
    return _of_models("mean-of-streams", text, found)


def _reading(row: Summary, facts: Facts) -> ReadingFacts:
    return facts.readings.get(str(row["model"]), ReadingFacts())


def _of_models(name: str, text: str, rows: Sequence[Summary]) -> list[Note]:
    """One note for all rows that it concerns; its sentence begins with their models."""
    if not rows:
        return []
    models = ", ".join(dict.fromkeys(str(row["model"]) for row in rows))
    return [Note(name, f"{models} {text}", tuple(map(_name, rows)), {})]


def _lengths_differ(rows: Sequence[Summary], _: Facts) -> list[Note]:
    notes = []
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        lengths = {
            str(row["model"]): _number(row["tokens"]) / _number(row["texts"])
            for row in rows
            if row["dataset"] == dataset and row["texts"]
        }
        if len(lengths) > 1 and max(lengths.values()) > (1 + LENGTHS_APART) * min(lengths.values()):
            low, high = min(lengths.values()), max(lengths.values())
            text = f"lengths differ on {dataset}: {low:.0f} to {high:.0f} tokens a text; eRank grows with it (--window)"
            concerned = tuple(_name(row) for row in rows if row["dataset"] == dataset)
            notes.append(Note("lengths-differ", text, concerned, {"shortest": low, "longest": high}))
    return notes


def _near_noise(rows: Sequence[Summary], _: Facts) -> list[Note]:
    notes: list[Note] = []
    for metric, called in (("effective_rank", "eRank"), ("matrix_nuclear_norm", "MNN")):
        key = f"{metric}_over_noise"
        found = [row for row in rows if abs(_number(row.get(key), absent=0.0) - 1) <= NEAR_NOISE]
        text = f"{called} is within {NEAR_NOISE:.0%} of what noise of the same shape gives: it reflects N and d"
        notes += _note("near-noise", text, found, key)
    return notes


def _ranked_by_hidden_size(rows: Sequence[Summary], _: Facts) -> list[Note]:
    notes = []
    for dataset, called in dict.fromkeys((row["dataset"], _ranked_metric(row)) for row in rows):
        layers: dict[str, float] = {}
        concerned: list[Summary] = []
        of_data = [row for row in rows if (row["dataset"], _ranked_metric(row)) == (dataset, called)]
        for layer in dict.fromkeys(row["layer"] for row in of_data):
            group = [row for row in of_data if row["layer"] == layer]
            rho = _rank_by_size(group, called)
            if rho is not None and abs(rho) >= RANKED_BY_SIZE:
                layers[str(layer)] = rho
                concerned += group
        if layers:
            name = "Diff-eRank" if called == "diff_erank" else "eRank"
            where = "" if list(layers) == ["last"] else f" at layers {', '.join(layers)}"
            extreme = max(layers.values(), key=abs)
            models = len({row["model"] for row in concerned})
            text = f"hidden size alone explains the ranking of the {models} models by {name}{where}"
            text += f" (Spearman {extreme:+.2f})"
            notes.append(Note("ranked-by-hidden-size", text, tuple(map(_name, concerned)), {"spearman": extreme}))
    return notes


def _ranked_metric(row: Summary) -> str:
    return "effective_rank" if row.get("diff_erank") is None else "diff_erank"


def _rank_by_size(group: Sequence[Summary], key: str) -> float | None:
    """Spearman's correlation of a metric with hidden size; None where there is too little to rank."""
    pairs = [(_number(row["hidden_size"]), _number(row[key])) for row in group if row["hidden_size"] and row.get(key)]
    sizes, values = zip(*pairs, strict=True) if pairs else ((), ())
    if len(pairs) < FEWEST_MODELS_TO_RANK or len(set(sizes)) < 3 or len(set(values)) < 2:
        return None
    return float(stats.spearmanr(sizes, values).statistic)


def _few_texts(rows: Sequence[Summary], _: Facts) -> list[Note]:
    found = [row for row in rows if _number(row["texts"]) < FEWEST_TEXTS]
    return _note("few-texts", f"fewer than {FEWEST_TEXTS} texts: the intervals are too narrow to trust", found, "texts")


def _many_skipped(rows: Sequence[Summary], _: Facts) -> list[Note]:
    shares = [
        (row, _number(row["skipped"]) / max(1.0, _number(row["skipped"]) + _number(row["texts"]))) for row in rows
    ]
    found = [(row, share) for row, share in shares if share > MANY_SKIPPED]
    if not found:
        return []
    worst = max(share for _, share in found)
    text = f"up to {worst:.0%} of the texts were skipped: the rest may not stand for them"
    return [Note("many-skipped", text, tuple(_name(row) for row, _ in found), {"share": worst})]


def _texts_cut(rows: Sequence[Summary], _: Facts) -> list[Note]:
    found = [row for row in rows if _above(row.get("cut"), 0)]
    if not found:
        return []
    most = max(found, key=lambda row: _number(row["cut"]))
    text = (
        f"up to {_number(most['cut']):,.0f} of {_number(most['texts']):,.0f} texts were cut at the longest length: "
        "their numbers are those of their beginnings (--max-length, --skip-overlong, --window)"
    )
    return _note("texts-cut", text, found, "cut")


def _sink_layers(rows: Sequence[Summary], _: Facts) -> list[Note]:
    notes = []
    for model, dataset in dict.fromkeys((row["model"], row["dataset"]) for row in rows):
        group = [
            row
            for row in rows
            if (row["model"], row["dataset"]) == (model, dataset)
            and row.get("stable_rank")
            and row.get("effective_rank")
        ]
        if len(group) < 3:
            continue
        widest = max(_number(row["effective_rank"]) for row in group)
        found = [
            row
            for row in group
            if _number(row["stable_rank"]) < SINK_STABLE_RANK and _number(row["effective_rank"]) < SINK_SHARE * widest
        ]
        text = "one direction holds these layers (attention sinks?): compare with --drop-tokens massive; layers "
        notes += _note("sink-layers", text + ", ".join(str(row["layer"]) for row in found), found, "stable_rank")
    return notes


def _several_versions(rows: Sequence[Summary], facts: Facts) -> list[Note]:
    if not facts.versions:
        return []
    which = "; ".join(f"{name} {' and '.join(several)}" for name, several in facts.versions.items())
    text = f"the run was measured in parts by several versions ({which}), which can differ beyond rounding"
    most = max(len(several) for several in facts.versions.values())
    return [Note("several-versions", text, tuple(map(_name, rows)), {"versions": float(most)})]


_RULES: tuple[Callable[[Sequence[Summary], Facts], list[Note]], ...] = (
    _initializer_unknown,
    _initializer_assumed,
    _negative_diff_erank,
    _twin_collapsed,
    _twin_wide,
    _dropout_in_twin,
    _not_causal,
    _one_by_one,
    _streams,
    _lengths_differ,
    _near_noise,
    _ranked_by_hidden_size,
    _few_texts,
    _many_skipped,
    _texts_cut,
    _sink_layers,
    _several_versions,
)


def _note(name: str, text: str, rows: Sequence[Summary], key: str) -> list[Note]:
    """One note for all rows that it concerns, with their extreme values."""
    if not rows:
        return []
    values = [_number(row.get(key), absent=0.0) for row in rows]
    return [Note(name, text, tuple(map(_name, rows)), {"lowest": min(values), "highest": max(values)})]


def _name(row: Summary) -> str:
    return f"{row['model']} | {row['dataset']} | {row['layer']}"


def _number(value: object, absent: float | None = None) -> float:
    if isinstance(value, (int, float)):
        return float(value)
    if absent is None:
        raise TypeError(f"expected a number, got {value!r}")
    return absent


def _below(value: object, threshold: float) -> bool:
    return isinstance(value, (int, float)) and value < threshold


def _above(value: object, threshold: float) -> bool:
    return isinstance(value, (int, float)) and value > threshold
