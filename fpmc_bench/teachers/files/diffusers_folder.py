"""Reading the folder of a diffusers pipeline whose network denoises pixels (`pixel_pipelines`).

Both layouts are known: a folder each for unet and scheduler, as `save_pretrained` writes them, and
everything beside model_index.json, as the oldest published pipelines have it. Only JSON and
safetensors are read, no pickles.
"""

import inspect
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from fpmc_bench.errors import CheckpointError, InputError, UsageError
from fpmc_bench.teachers.diffusers import DiffusersTeacher, NoiseTimes
from fpmc_bench.teachers.files.pixel_pipelines import (
    class_of,
    classes_of,
    json_of,
    refuse_other_pipelines,
    shape_of,
)
from fpmc_bench.teachers.labels import Label, labelled_name, refuse_label

PREDICTIONS = ("epsilon", "v_prediction", "sample")
SCHEDULE = (
    *("num_train_timesteps", "beta_start", "beta_end", "beta_schedule"),
    *("rescale_betas_zero_snr", "prediction_type"),
)
"""What of a scheduler decides about D; the rest is of the sampler."""
NOT_OF_THE_FUNCTION = ("sample_size", "dropout", "num_train_timesteps")
"""Of a network's settings: its images' size is known beside them, and nothing is dropped here."""
WEIGHTS = re.compile(r"diffusion_pytorch_model(\.(?P<variant>[^-]+?))?(-\d+-of-\d+)?\.safetensors")


def read_pipeline(folder: Path, device: str, label: Label | None = None) -> DiffusersTeacher:
    """The network and scheduler of a pipeline folder, the network in float32.

    CheckpointError names what is missing or unfit; UsageError where diffusers isn't installed, and
    where the network needs a `label` or has none such.
    """
    index = json_of(folder / "model_index.json", folder)
    refuse_other_pipelines(index, folder)
    unet, steps = (_place(folder, part) for part in ("unet", "scheduler"))
    config = json_of(unet / "config.json", folder)
    shape = shape_of(config, folder)
    classes = classes_of(config, folder)
    refuse_label(str(folder), label, classes)
    network, schedule = _load(folder, unet, steps, class_of(index, "scheduler", folder))
    prediction = schedule.config.prediction_type
    if prediction not in PREDICTIONS:
        raise CheckpointError(
            f"{folder} predicts '{prediction}'; expected one of {', '.join(PREDICTIONS)}"
        )
    try:
        noise = NoiseTimes.of(schedule.alphas_cumprod.numpy())
    except InputError as error:
        raise CheckpointError(f"{folder}: of its scheduler, {error}") from error
    return DiffusersTeacher(
        name=labelled_name(folder.resolve().name, label),
        network=network.to(device).float().eval().requires_grad_(False),
        shape=shape,
        noise=noise,
        prediction=prediction,
        settings=json.dumps([str(shape), _settings(network), _schedule(schedule)], sort_keys=True),
        classes=classes,
        label=label,
    )


def _load(folder: Path, unet: Path, steps: Path, scheduler: str) -> tuple[nn.Module, Any]:
    variant = _variant(unet, folder)
    try:
        import diffusers
    except ImportError as error:
        raise UsageError(
            f"{folder} is a diffusers pipeline, and diffusers is not installed: "
            f"python -m pip install 'fpmc-bench[diffusers]'"
        ) from error
    try:
        with _without_bars(diffusers):
            network, report = diffusers.UNet2DModel.from_pretrained(
                unet,
                variant=variant,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
            )
        loaded = getattr(diffusers, scheduler).from_pretrained(steps, local_files_only=True)
    except Exception as error:  # whatever diffusers raises for a folder that is not as it says
        reason = str(error).strip().partition("\n")[0]
        raise CheckpointError(
            f"{folder} can't be loaded by diffusers ({type(error).__name__}: {reason}); save the "
            f"pipeline again"
        ) from error
    for fault, names in report.items():  # diffusers leaves what is missing as it was drawn
        if names:
            raise CheckpointError(
                f"{folder}: its weights are not those of its config.json ({fault}: {names[0]}, "
                f"{len(names)} in all); save the pipeline again"
            )
    return network, loaded


def _variant(unet: Path, folder: Path) -> str | None:
    """Of weights that are there in one variant alone, as fp16, its name; None for plain ones."""
    names = (WEIGHTS.fullmatch(path.name) for path in unet.iterdir())
    variants = {match["variant"] for match in names if match}
    # shards are named in an index, which could name anything
    for index in unet.glob("*.safetensors.index*.json"):
        named = json_of(index, folder).get("weight_map")
        files = named.values() if isinstance(named, dict) else [None]
        for file in files:
            if not isinstance(file, str) or not (file.endswith(".safetensors") and "/" not in file):
                raise CheckpointError(
                    f"{index} names {file!r} as a file of weights; expected a .safetensors file "
                    f"beside it"
                )
    if None in variants:
        return None
    if len(variants) == 1:
        return variants.pop()
    if variants:
        raise CheckpointError(
            f"{folder} has weights in the variants {', '.join(sorted(map(str, variants)))} and "
            f"none plain; keep one of them"
        )
    plain = (unet / "diffusion_pytorch_model.safetensors").relative_to(folder)
    raise CheckpointError(
        f"{folder} has no {plain}. Weights in a .bin "
        f"file are a pickle, which is never loaded here; save the pipeline with "
        f"safe_serialization=True"
    )


@contextmanager
def _without_bars(diffusers: Any) -> Iterator[None]:
    bars = diffusers.utils.logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            bars.enable_progress_bar()


def _settings(network: Any) -> dict[str, Any]:
    """Of the network, where they aren't diffusers' own: what a later one adds changes nothing."""
    defaults = inspect.signature(type(network).__init__).parameters
    return {
        name: value
        for name, value in network.config.items()
        if name in defaults
        and name not in NOT_OF_THE_FUNCTION
        and json.dumps(value) != json.dumps(defaults[name].default)
    }


def _schedule(scheduler: Any) -> dict[str, Any]:
    """All that its noise levels and what is predicted follow from."""
    given = {name: scheduler.config.get(name) for name in SCHEDULE}
    if (betas := scheduler.config.get("trained_betas")) is not None:
        return {"betas": [float(beta) for beta in betas], **{k: given[k] for k in SCHEDULE[-2:]}}
    return given


def _place(folder: Path, part: str) -> Path:
    return folder / part if (folder / part).is_dir() else folder
