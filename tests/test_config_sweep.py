"""What a sweep varies: which fields and values it takes, in which words others are refused, and what it will train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from napari_nanoseg.config.base import Config
from napari_nanoseg.config.jobs import parse_job
from napari_nanoseg.config.options import value_at
from napari_nanoseg.config.stardist import StarDistConfig
from napari_nanoseg.config.sweep import FIXED, SweepJob, fields_to_vary, trial_name
from napari_nanoseg.config.train import TrainConfig
from napari_nanoseg.errors import NanosegError


def sweep(vary: Any, **changes: Any) -> SweepJob:
    return SweepJob.parse({"dataset": "d", "out": "o", "vary": vary, **changes})


def test_every_combination_is_a_training_of_its_own() -> None:
    job = sweep(["learning_rate=0.001,0.003", "engine.n_rays=16,32,64"], start_from=None, config={"seed": 7})
    trials = job.trials()
    assert [(one.job.config.learning_rate, one.job.config.engine.n_rays) for one in trials] == [
        (rate, rays) for rate in (0.001, 0.003) for rays in (16, 32, 64)
    ]
    assert trials[1].name == "learning_rate=0.001,n_rays=32"
    assert trials[1].values == {"learning_rate": 0.001, "engine.n_rays": 32}
    assert [one.job.out for one in trials] == [Path("o") / one.name for one in trials]
    assert all(one.job.config.seed == 7 and one.job.start_from is None for one in trials)


def test_seeds_hold_out_the_same_images() -> None:
    trials = sweep({"seed": [1, 2]}, config={"seed": 5}).trials()
    assert [one.job.config.seed for one in trials] == [1, 2]
    assert [one.job.config.validation_seed for one in trials] == [5, 5]
    (trial,) = sweep({"seed": [1]}, config={"validation_seed": 9}).trials()
    assert trial.job.config.validation_seed == 9


@pytest.mark.parametrize(
    ("vary", "values"),
    [
        ({"scale": "0.5 1.5, none"}, {"scale": ((0.5, 1.5), None)}),
        ({"scale": [[0.5, 1.5], None]}, {"scale": ((0.5, 1.5), None)}),
        (["mixed_precision=true,no"], {"mixed_precision": (True, False)}),
        (["engine.grid=2 2,4 4"], {"engine.grid": ((2, 2), (4, 4))}),
        (["synthetic.blending=hard poisson,hard"], {"synthetic.blending": (("hard", "poisson"), ("hard",))}),
        ({"images": 3}, {"images": (3,)}),
        ({"schedule": ["cosine", "constant"]}, {"schedule": ("cosine", "constant")}),
    ],
)
def test_values_are_those_of_the_field(vary: Any, values: dict[str, Any]) -> None:
    job = sweep(vary)
    assert job.vary == values
    assert parse_job(job.model_dump(mode="json")) == job


def test_values_that_only_fit_together_are_taken() -> None:
    config = {"engine": {"n_classes": 2, "train_loss_weights": [1, 0.2, 1]}}
    sweep({"engine.n_classes": [2, 3]}, config=config)
    with pytest.raises(NanosegError, match=r"with engine\.n_classes = none: train_loss_weights needs 2 values"):
        sweep({"engine.n_classes": [2, None]}, config=config)


@pytest.mark.parametrize(
    ("vary", "said"),
    [
        ({}, "nothing is varied"),
        (3, "write each field with its values"),
        ({"learning_rat": [1]}, "no field 'learning_rat' to vary; did you mean 'learning_rate'"),
        (["n-rays=3"], "did you mean 'engine.n_rays'"),
        (["=3"], "there is no field ''"),
        ({"engine": ["stardist"]}, "there is no field 'engine'"),
        ({"engine.engine": ["stardist"]}, "there is no field 'engine.engine'"),
        ({"engine.unet_prefix": ["a"]}, "there is no field"),
        ({"learning_rate": [0.1, 5]}, "'learning_rate' is 5: it must be at most 1"),
        ({"learning_rate": "fast"}, "'learning_rate' is 'fast': it must be a number"),
        ({"engine.n_rays": [3.5]}, "'engine.n_rays' is 3.5: it must be a whole number"),
        ({"scale": "2 1"}, "the range must begin below its end"),
        ({"steps": []}, "'steps' has no values"),
        (["steps"], "'steps' has no values"),
        (["steps=1", "steps=2"], "'steps' is there twice"),
        ({"steps": [10, "10"]}, "'steps' has the value 10 twice"),
        ({"steps": list(range(1, 16)), "seed": list(range(15))}, "these are 225 trainings; at most 200"),
        *(({name: [1]}, f"'{name}' cannot be varied") for name in FIXED),
    ],
)
def test_what_cannot_be_varied_is_said_at_once(vary: Any, said: str) -> None:
    with pytest.raises(NanosegError, match=said) as caught:
        sweep(vary)
    assert "\n" not in str(caught.value)


def test_the_network_of_a_model_cannot_be_varied() -> None:
    for name in ("engine.n_rays", "working_diameter"):
        with pytest.raises(NanosegError, match=f"'{name}' cannot be varied in trainings that start from a model"):
            sweep({name: [16]}, start_from="starter")
        sweep({name: [16]})
        sweep({name: [16]}, start_from=None)


def test_the_fields_are_all_but_the_free_texts_and_constants() -> None:
    config = TrainConfig(engine=StarDistConfig(n_rays=8))
    fields = fields_to_vary(config)
    assert {"learning_rate", "images", "engine.n_rays", "engine.train_loss_weights", "synthetic.coverage"} < set(fields)
    assert not {"engine", "engine.engine", "engine.unet_prefix", "device", "synthetic"} & set(fields)
    assert value_at(config, ("engine", "n_rays")) == 8
    assert all(isinstance(value_at(config, name.split(".")[:-1]), Config) for name in fields if "." in name)


def test_names_of_folders_tell_the_values_apart() -> None:
    assert trial_name({"scale": (0.5, 1.5), "schedule": "cosine", "images": None}) == (
        "scale=0.5_1.5,schedule=cosine,images=none"
    )
    assert trial_name({"scale": None, "synthetic.scale": None}) == "scale=none,synthetic.scale=none"
    long = [trial_name({f"field{number}": 0.123456789 for number in range(9)} | {"last": end}) for end in (1, 2)]
    assert long[0] != long[1]
    assert all(len(name) <= 100 for name in long)
