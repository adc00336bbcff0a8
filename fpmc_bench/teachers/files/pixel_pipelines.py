"""Which diffusers pipelines are denoisers of pixels, by what their folder says; others are refused.

A latent diffusion's network has the same class and the same scheduler, and never sees a pixel.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fpmc_bench.errors import CheckpointError
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_bench.storage.notations import parsed_json

SCHEDULERS = ("DDPMScheduler", "DDIMScheduler")
OTHER_PARTS = {
    "codes, not pixels": ("vae", "vqvae", "vqmodel", "movq", "autoencoder"),
    "images to a text": ("text_encoder", "text_encoder_2", "tokenizer", "prior", "bert"),
}
"""What a network with such a part beside it denoises."""


def refuse_other_pipelines(index: Mapping[str, Any], folder: Path) -> None:
    """CheckpointError for a pipeline that is more than a UNet2DModel and its scheduler.

    `index` is the content of the folder's model_index.json.
    """
    kind = index.get("_class_name", "pipeline")
    parts = {name for name, part in index.items() if isinstance(part, list) and any(part)}
    parts |= {place.name for place in folder.iterdir() if place.is_dir()} & _known_parts()
    for what, names in OTHER_PARTS.items():
        if found := sorted(parts & set(names)):
            raise CheckpointError(
                f"{folder} is a {kind} with a {found[0]} beside its unet: its network denoises "
                f"{what}; expected a pipeline of a unet and a scheduler alone"
            )
    if others := sorted(parts - {"unet", "scheduler"}):
        raise CheckpointError(
            f"{folder} is a {kind} with {', '.join(others)}; expected a pipeline of a unet and a "
            f"scheduler alone, whose network is asked for pixels"
        )
    unet, scheduler = (class_of(index, part, folder) for part in ("unet", "scheduler"))
    if unet != "UNet2DModel":
        raise CheckpointError(f"{folder} holds a {unet}; expected an unconditional UNet2DModel")
    if scheduler not in SCHEDULERS:
        raise CheckpointError(
            f"{folder} has the scheduler {scheduler}, which does not say for which noise the "
            f"network was trained, or says it in another form; expected a "
            f"{' or '.join(SCHEDULERS)}. Where it was trained as DDPMs are, save the pipeline "
            f"again with DDPMScheduler.from_config(pipeline.scheduler.config)"
        )


def _known_parts() -> set[str]:
    return {name for names in OTHER_PARTS.values() for name in names}


def shape_of(config: Mapping[str, Any], folder: Path) -> ImageShape:
    """Of the images that the network takes and returns, by its config.json; or CheckpointError."""
    channels, out, size = (config.get(k) for k in ("in_channels", "out_channels", "sample_size"))
    height, width = size if isinstance(size, list) and len(size) == 2 else (size, size)
    if not all(type(value) is int and value > 0 for value in (channels, height, width)):
        raise CheckpointError(
            f"the config.json of {folder}'s unet does not say the size of its images: in_channels "
            f"is {channels}, sample_size {size}; put them there"
        )
    if channels != out:
        raise CheckpointError(
            f"{folder} takes images of {channels} channels and returns {out}; expected as many: "
            f"learned variances, super-resolution and other conditions are not supported"
        )
    return ImageShape(channels, height, width)  # type: ignore[arg-type]


def classes_of(config: Mapping[str, Any], folder: Path) -> int:
    """How many classes the network has; CheckpointError where its inputs are not known here."""
    embedding = config.get("time_embedding_type", "positional")
    if embedding != "positional":
        whole = "it knows whole times only" if embedding == "learned" else "its time is a sigma"
        raise CheckpointError(
            f"{folder} has a {embedding} time embedding: {whole}, and noise levels lie between "
            f"times; expected a positional one"
        )
    if config.get("center_input_sample"):
        raise CheckpointError(
            f"{folder} takes images in [0, 1] (center_input_sample); expected a network of images "
            f"in [-1, 1]"
        )
    if config.get("class_embed_type"):
        raise CheckpointError(
            f"{folder} is conditioned on classes by their {config['class_embed_type']}; expected "
            f"an unconditional network, or one with num_class_embeds"
        )
    classes = config.get("num_class_embeds") or 0
    if type(classes) is not int:
        raise CheckpointError(f"{folder}: num_class_embeds is {classes}; expected a number")
    return classes


def class_of(index: Mapping[str, Any], part: str, folder: Path) -> str:
    """Of a part of the pipeline; CheckpointError where the index has no such part."""
    listed = index.get(part)
    if not isinstance(listed, list) or len(listed) != 2:
        raise CheckpointError(f"{folder}/model_index.json names no {part}: expected a pipeline")
    return str(listed[1])


def json_of(path: Path, folder: Path) -> dict[str, Any]:
    """The object in a file of the folder; CheckpointError where there is no such file, or none."""
    if not path.is_file():
        raise CheckpointError(
            f"{folder} has no {path.relative_to(folder)}; expected a folder that a diffusers "
            f"pipeline's save_pretrained wrote"
        )
    try:
        content = parsed_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is not JSON ({error}); save the pipeline again") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds no JSON object; save the pipeline again")
    return content
