"""Plans: everything is found and checked, and nothing is made or fitted before it is needed."""

from pathlib import Path

import pytest
import torch
from plans import loaded, small_plan, small_suite

import fpmc_plugins
from fpmc_bench.catalog.entries import without_places
from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.catalog.places import Places
from fpmc_bench.contracts import AugmentationTask, Source
from fpmc_bench.errors import (
    InputError,
    ParameterError,
    UnknownNameError,
    UsageError,
)
from fpmc_bench.fpmc.union import Union
from fpmc_bench.harness.plan import make_plan
from fpmc_plugins.augmentations.flips import HorizontalFlip
from fpmc_plugins.augmentations.geometric import Rotate
from fpmc_plugins.augmentations.synthetic import Synthetic

HFLIP = {"name": "hflip", "rate": 0.5}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the augmentations that have made images."""
    names: list[str] = []
    for cls in (HorizontalFlip, Synthetic):
        original = cls.augment

        def augment(self, task: AugmentationTask, original=original) -> Source:  # type: ignore[no-untyped-def]
            names.append(self.name)
            return original(self, task)

        monkeypatch.setattr(cls, "augment", augment)
    return names


def entry(name: str, **more: object) -> dict[str, object]:
    return {"name": name, "denoiser": "optimal", **more}


def test_a_plan_makes_no_image_and_a_source_is_known_by_its_recipe(made: list[str]) -> None:
    plan = small_plan(entries=[entry("plain"), entry("flipped", augmentations=[HFLIP])])
    plain, flipped = (plan.contestant(name) for name in ("plain", "flipped"))
    recipe = flipped.source.recipe
    assert recipe.images == plain.source.recipe.images == loaded().dataset.train.fingerprint
    assert [(one.augmentation, one.rate) for one in recipe.added] == [("hflip", 0.5)]
    assert recipe.added[0].plugin.distribution == "fpmc-bench"
    assert len(recipe.added[0].plugin.code) == 64
    assert made == []


def test_a_built_row_has_the_images_that_its_recipe_says(made: list[str]) -> None:
    plan = small_plan(entries=[entry("plain"), entry("flipped", augmentations=[HFLIP])])
    train = loaded().dataset.train
    assert plan.built(plan.contestant("plain")).source is train
    assert made == []
    source = plan.built(plan.contestant("flipped")).source
    assert isinstance(source, Union)
    assert made == ["hflip"]
    assert source.original is train
    assert len(source) == len(train) + round(len(train) / 2)
    rows = source.rows_in(train)[len(train) :]
    assert torch.equal(source.stored(slice(len(train), None)), train.stored(rows).flip(-1))


def test_a_row_over_plain_images_is_the_same_denoiser_without_what_was_added(
    made: list[str],
) -> None:
    plan = small_plan(entries=[entry("flipped", augmentations=[HFLIP])])
    plain = plan.contestants[0].over_plain_images()
    assert plan.built(plain).source is loaded().dataset.train
    assert (plain.denoiser, plain.name) == (plan.contestants[0].denoiser, "flipped")
    assert made == []


def test_what_can_not_be_augmented_is_refused_before_any_image(made: list[str]) -> None:
    with pytest.raises(ParameterError, match="rate <= 1, got 2"):
        small_plan(entries=[entry("flipped", augmentations=[{**HFLIP, "rate": 2.0}])])
    thin = AugmentationTask(Source(torch.zeros(3, 1, 1, 5)), 1.0, 0)
    with pytest.raises(InputError, match="rotate needs images of 2 x 2 pixels or more"):
        Rotate().check(thin)
    with pytest.raises(UsageError, match="synthetic needs the tuning teacher"):
        Synthetic().check(thin)
    assert made == []


def test_every_protocol_has_its_networks_and_levels() -> None:
    plan = small_plan(levels=[3, 1])
    assert [plan.network(p, "reference").name for p in ("denoiser-mse", "sample-mse")] == [
        "digits-ddpmpp",
        "digits-ncsnpp",
    ]
    assert [plan.network(p, "other network").name for p in ("denoiser-mse", "sample-mse")] == [
        "digits-ncsnpp",
        "digits-ddpmpp",
    ]
    assert "NCSN++" in plan.network("sample-mse", "reference").citation
    assert plan.levels("denoiser-mse") == (3, 1)
    assert plan.levels("sample-mse") == (0, 1, 2, 3)
    assert plan.problem("denoiser-mse", loaded().dataset.train).levels == (3, 1)


# --- places -------------------------------------------------------------------------------------


def weighted(*weights: str) -> dict[str, object]:
    names = "abc"
    return {
        "entries": [
            {"name": name, "denoiser": "finetuned", "params": {"weights": one}}
            for name, one in zip(names, weights, strict=False)
        ]
    }


def test_paths_become_names_and_their_places_are_kept_apart() -> None:
    suite = small_suite(**weighted("some/where/mine.safetensors", "digits-windows"))
    named, places = without_places(suite, installed_registry(), Places())
    assert [one.params["weights"] for one in named.entries] == ["mine", "digits-windows"]
    assert places.weights == {"mine": "some/where/mine.safetensors"}
    assert "/" not in named.model_dump_json().replace("application/", "")


def test_two_files_of_one_name_are_refused() -> None:
    suite = small_suite(**weighted("a/mine.safetensors", "b/mine.safetensors"))
    with pytest.raises(UsageError, match=r"a/mine.* and b/mine.* would both be named 'mine'"):
        without_places(suite, installed_registry(), Places())
    twice = small_suite(**weighted("a/mine.safetensors", "a/mine.safetensors"))
    assert without_places(twice, installed_registry(), Places())[1].weights == {
        "mine": "a/mine.safetensors"
    }


def test_a_place_that_nobody_asks_for_is_refused_with_suggestions() -> None:
    suite = small_suite(**weighted("mine"))
    with pytest.raises(UnknownNameError, match=r"Unknown weights 'mime'.*Did you mean 'mine'"):
        without_places(suite, installed_registry(), Places(weights={"mime": "x.safetensors"}))


def test_weights_without_a_place_are_refused_before_any_work(tmp_path: Path) -> None:
    suite = small_suite(**weighted("mine"))
    with pytest.raises(UnknownNameError, match="Unknown fine-tuned weights 'mine'"):
        make_plan(suite, installed_registry(), "cpu")
    places = Places(weights={"mine": str(tmp_path / "gone.safetensors")})
    with pytest.raises(ParameterError, match=r"there is nothing at .*gone\.safetensors"):
        make_plan(suite, installed_registry(), "cpu", places)


def test_a_network_s_path_becomes_a_name_and_its_role_has_the_place() -> None:
    teachers = {"tuning": "some/where/mine.safetensors", "evaluation": "digits-ncsnpp"}
    suite = small_suite(teachers=teachers)
    named, places = without_places(suite, installed_registry(), Places())
    assert named.teachers.model_dump() == {"tuning": "mine", "evaluation": "digits-ncsnpp"}
    assert places.teacher == {"tuning": "some/where/mine.safetensors"}
    given = Places(teacher={"tuning": "digits-ddpmpp"})
    assert without_places(suite, installed_registry(), given)[1].teacher == given.teacher


def test_a_network_of_a_plugin_s_name_is_not_believed_to_be_the_plugin_s(tmp_path: Path) -> None:
    """Whoever names a file as a registered network is: its row cites nobody."""
    shipped = Path(fpmc_plugins.__file__).parent / "teachers" / "digits-ncsnpp.safetensors"
    mine = tmp_path / "digits-ddpmpp.safetensors"
    mine.write_bytes(shipped.read_bytes())
    teachers = {"tuning": str(mine), "evaluation": "digits-ddpmpp"}
    with pytest.raises(UsageError, match="two networks are named 'digits-ddpmpp'"):
        make_plan(small_suite(teachers=teachers), installed_registry(), "cpu")
    other = tmp_path / "photos-ddpmpp.safetensors"
    other.write_bytes(shipped.read_bytes())
    plan = make_plan(
        small_suite(teachers={**teachers, "tuning": str(other)}), installed_registry(), "cpu"
    )
    network = plan.network("denoiser-mse", "reference")
    assert (network.name, network.citation) == ("photos-ddpmpp", "")
    assert "DDPM++" in plan.network("denoiser-mse", "other network").citation
