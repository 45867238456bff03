from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

from rankscope.errors import SettingsError
from rankscope.statistics import Prediction, predictions
from rankscope.statistics.prediction import ABOVE, NOT_ABOVE, TOO_FEW

SIMULATIONS = 100


@dataclass(frozen=True)
class World:
    """How models come about; sizes are in nats around their mean, about one standard deviation of which is 1.4.

    Attributes:
        sizes: models in each family, over a factor of e^4 in parameters.
        family: spread of the families' own accuracy, and of their own metric.
        noise: spread of accuracy that nothing explains.
        own: spread of the metric that size does not explain.
        extra: how much of accuracy goes with that, for one standard deviation.
        bend: of both curves over size: accuracy saturates, the metric grows like a power of parameters.
        rivals: further metrics that are size and noise.
    """

    sizes: Sequence[int] = (5, 5, 5, 5)
    family: float = 0.5
    family_of_metric: float = 0.0
    noise: float = 0.3
    own: float = 0.5
    extra: float = 0.0
    bend: float = 0.0
    rivals: int = 0

    def models(self, rng: np.random.Generator) -> list[dict[str, object]]:
        """A draw."""
        families = np.repeat(np.arange(len(self.sizes)), self.sizes)
        size = np.concatenate([np.linspace(-2, 2, number) for number in self.sizes])
        size += 0.3 * rng.normal(size=len(self.sizes))[families] + 0.2 * rng.normal(size=len(size))
        own = rng.normal(size=len(size))
        accuracy = size + self.bend * 2 * np.tanh(size) + self.extra * own + self.noise * rng.normal(size=len(size))
        accuracy += self.family * rng.normal(size=len(self.sizes))[families]
        metric = size + self.bend * np.exp((size + 2) * 2 / 3) + self.own * own
        metric += self.family_of_metric * rng.normal(size=len(self.sizes))[families]
        others = {f"rival{place}": size + self.own * rng.normal(size=len(size)) for place in range(self.rivals)}
        return [
            {
                "model": f"m{place}", "family": f"f{families[place]}", "parameters": float(np.exp(20 + size[place])),
                "accuracy": accuracy[place], "metric": metric[place],
            }
            | {name: column[place] for name, column in others.items()}
            for place in range(len(size))
        ]  # fmt: skip


def of(
    rows: list[dict[str, object]], metrics: Sequence[str] = ("metric",), **more: tuple[str, ...]
) -> list[Prediction]:
    return predictions(rows, metrics, "accuracy", **({"baselines": ("parameters",)} | more))


def times_above(world: World, metric: str | None = None) -> int:
    """In how many of 100 draws a metric, or this one, is above the baseline of ln(parameters)."""
    rng = np.random.default_rng(0)
    metrics = ("metric", *(f"rival{place}" for place in range(world.rivals)))
    found = [of(world.models(rng), metrics) for _ in range(SIMULATIONS)]
    return sum(any(one.verdict == ABOVE and metric in (None, one.metric) for one in each) for each in found)


PURE_SIZE = {
    "4 families of 5": World(),
    "families differ in the metric": World(family_of_metric=1.0),
    "six metrics": World(rivals=5),
    "curved": World(bend=1.0, own=0.3),
    "3 families of 4": World(sizes=(4, 4, 4), family_of_metric=0.5),
    "3 families of 4, curved": World(sizes=(4, 4, 4), bend=1.0, own=0.3),
    "1 family of 7": World(sizes=(7,)),
    "1 family of 7, curved": World(sizes=(7,), bend=1.0, own=0.3),
    "6 families of 3, curved": World(sizes=(3,) * 6, bend=1.0, own=0.3),
    "8 families of 1": World(sizes=(1,) * 8),
}
MORE_THAN_SIZE = {
    "4 families of 5": World(extra=1.0),
    "six metrics": World(extra=1.0, rivals=5),
    "3 families of 4": World(extra=1.0, sizes=(4, 4, 4)),
    "6 families of 3": World(extra=1.0, sizes=(3,) * 6),
}


@pytest.mark.slow
@pytest.mark.parametrize("world", PURE_SIZE.values(), ids=PURE_SIZE)
def test_a_metric_that_is_size_and_noise_is_not_above_size(world: World) -> None:
    assert times_above(world) <= 7


@pytest.mark.slow
@pytest.mark.parametrize("world", MORE_THAN_SIZE.values(), ids=MORE_THAN_SIZE)
def test_a_metric_that_knows_more_than_size_is_above_it(world: World) -> None:
    assert times_above(world, "metric") >= 80


def test_each_baseline_alone_and_with_each_metric() -> None:
    rows = World(rivals=1).models(np.random.default_rng(1))
    rows = [row | {"loss": -float(str(row["accuracy"])) + place % 3} for place, row in enumerate(rows)]
    found = of(rows, ("metric", "rival0", "loss"), baselines=("parameters", "loss", "tokens_per_text"))
    names = [(one.baseline, one.metric) for one in found]
    assert names == [
        ("parameters", None), ("parameters", "metric"), ("parameters", "rival0"), ("parameters", "loss"),
        ("loss", None), ("loss", "metric"), ("loss", "rival0"),
    ]  # fmt: skip
    assert {(one.models, one.families, one.left_out) for one in found} == {(20, 4, "family")}
    alone, added = found[0], found[1]
    assert alone.verdict is None
    assert added.gain == pytest.approx(added.r_squared - alone.r_squared)
    assert added.verdict in (ABOVE, NOT_ABOVE)


def test_by_hand_one_family_leaves_out_one_model_at_a_time() -> None:
    rows = World(sizes=(5,)).models(np.random.default_rng(2))
    (alone, added) = of(rows)
    x, y = (np.array([row[name] for row in rows], dtype=float) for name in ("parameters", "accuracy"))
    errors, from_mean, predicted = [], [], []
    for place in range(5):
        kept = np.arange(5) != place
        line = stats.linregress(np.log(x[kept]), y[kept])
        predicted.append(line.intercept + line.slope * np.log(x[place]))
        errors.append(y[place] - predicted[-1])
        from_mean.append(y[place] - y[kept].mean())
    assert alone.r_squared == pytest.approx(1 - np.square(errors).sum() / np.square(from_mean).sum())
    assert alone.spearman == pytest.approx(stats.spearmanr(predicted, y).statistic)
    assert (added.models, added.families, added.left_out) == (5, 1, "model")


def test_a_family_is_not_left_out_where_too_few_models_would_remain() -> None:
    rows = World(sizes=(5, 3)).models(np.random.default_rng(3))
    assert {one.left_out for one in of(rows)} == {"model"}
    assert {one.left_out for one in of(World(sizes=(5, 4)).models(np.random.default_rng(3)))} == {"family"}


def test_too_few_models_to_tell() -> None:
    rows = World(sizes=(2, 1, 1, 1)).models(np.random.default_rng(4))
    _, added = of(rows)
    assert (added.verdict, added.gain_low, added.p_value) == (TOO_FEW, None, None)
    assert of(rows[:4]) == []


def test_models_without_a_number_are_left_out() -> None:
    rows = World().models(np.random.default_rng(5))
    rows[3]["metric"] = None
    rows[4]["accuracy"] = None
    alone, added = of(rows)
    assert (alone.models, added.models) == (19, 18)
    assert added == of([row for place, row in enumerate(rows) if place not in (3, 4)])[1]
    assert [one.metric for one in of([row | {"metric": 1.0} for row in rows])] == [None]
    assert of([row | {"accuracy": 1.0} for row in rows]) == []


@pytest.mark.parametrize("missing", [None, 0])
def test_a_missing_parameter_count_is_named_and_not_filled_in(missing: int | None) -> None:
    rows = World().models(np.random.default_rng(6))
    rows[7]["parameters"] = missing
    with pytest.raises(SettingsError, match=r"no parameter count is known for m7\b"):
        of(rows)
    assert of([row | {"tokens_per_text": place} for place, row in enumerate(rows)], baselines=("tokens_per_text",))
    rows[8]["family"] = None
    with pytest.raises(SettingsError, match=r"no family is known for m8\b"):
        of(rows)
