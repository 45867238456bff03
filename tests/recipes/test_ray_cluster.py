"""The recipe of a Ray cluster."""

from __future__ import annotations

from pathlib import Path

import yaml
from ray.autoscaler._private.util import fillout_defaults, validate_config

RECIPE = Path(__file__).parents[2] / "recipes" / "ray_cluster.yaml"


def test_ray_takes_the_recipe() -> None:
    config = yaml.safe_load(RECIPE.read_text())
    validate_config(fillout_defaults(config))
    head = config["available_node_types"][config["head_node_type"]]
    assert head["resources"] == {"CPU": 0}  # tasks run on the other machines
    commands = [*config["head_start_ray_commands"], *config["worker_start_ray_commands"]]
    assert all("--disable-usage-stats" in command for command in commands if "ray start" in command)
