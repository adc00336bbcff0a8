"""From the constructor arguments in an EDM file to a NetworkConfig.

The arguments are those of EDM's `EDMPrecond`, `VPPrecond` and `VEPrecond` and of its `SongUNet`,
with EDM's defaults where a file does not give them. An argument that would make another network
than ours is refused by name.
"""

from typing import Any

from pydantic import ValidationError

from fpmc_bench.documents.reading import first_fault
from fpmc_bench.errors import CheckpointError
from fpmc_bench.storage.pickled import shown
from fpmc_bench.teachers.unet.config import NetworkConfig

PRECONDITIONINGS = {"EDMPrecond": "edm", "VPPrecond": "vp", "VEPrecond": "ve"}
COMMON = {
    "img_resolution": "side_px",
    "img_channels": "channels",
    "label_dim": "label_dim",
    "augment_dim": "augment_dim",
    "model_channels": "model_channels",
    "channel_mult": "channel_mult",
    "num_blocks": "num_blocks",
    "attn_resolutions": "attention_sides",
    "dropout": "dropout",
}
"""EDM's name of an argument, and ours."""
OWN = {
    "EDMPrecond": {"sigma_data": "sigma_data"},
    "VPPrecond": {"beta_d": "beta_d", "beta_min": "beta_min", "M": "noise_steps"},
    "VEPrecond": {},
}
DEFAULTS = {"dropout": 0.1, "channel_mult": [1, 2, 2, 2], "attn_resolutions": [16]}
"""EDM's, where ours may differ."""
UNUSED = {"use_fp16", "sigma_min", "sigma_max", "epsilon_t", "label_dropout"}
"""Arguments that change nothing of the function in float32, in evaluation."""
VARIANTS = {
    "ddpmpp": ("positional", 1, "standard", [1, 1]),
    "ncsnpp": ("fourier", 2, "residual", [1, 3, 3, 1]),
}
VARIANT_ARGUMENTS = ("embedding_type", "channel_mult_noise", "encoder_type", "resample_filter")
FIXED = {"model_type": "SongUNet", "decoder_type": "standard", "channel_mult_emb": 4}


def config_of(class_name: str, state: dict[str, Any], origin: str) -> NetworkConfig:
    """The configuration of the preconditioned network with these attributes (EDM's `ema`).

    Raises CheckpointError, with `origin` in it, where it is not a DDPM++ or NCSN++ as ours are.
    """
    if class_name not in PRECONDITIONINGS:
        raise CheckpointError(
            f"{origin} holds a {shown(class_name)}; expected {', '.join(PRECONDITIONINGS)}"
        )
    arguments = state.get("_init_kwargs")
    if state.get("_init_args") != () or not isinstance(arguments, dict):
        raise CheckpointError(
            f"{origin} does not say by which named arguments its {class_name} was made "
            f"(_init_args, _init_kwargs); it is damaged or not an EDM checkpoint"
        )
    arguments = {**DEFAULTS, **arguments}
    variant = tuple(
        _plain(arguments.pop(name, default))
        for name, default in zip(VARIANT_ARGUMENTS, VARIANTS["ddpmpp"], strict=True)
    )
    architecture = next((name for name, v in VARIANTS.items() if v == variant), None)
    if architecture is None:
        given = ", ".join(
            f"[{', '.join(map(shown, one[:4]))}]" if isinstance(one, list) else shown(one)
            for one in variant
        )
        raise CheckpointError(
            f"{origin} is neither DDPM++ nor NCSN++: {', '.join(VARIANT_ARGUMENTS)} are "
            f"{given}; expected one of {list(VARIANTS.values())}"
        )
    # EDM's own default of the type is another network, so a file has to name ours there
    fixed_defaults = FIXED | ({"model_type": "DhariwalUNet"} if class_name == "EDMPrecond" else {})
    for name, expected in FIXED.items():
        found = arguments.pop(name, fixed_defaults[name])
        if type(found) is not type(expected) or found != expected:
            raise CheckpointError(
                f"{origin}: {name} is {shown(found)}; only {expected!r} is supported"
            )
    for name in UNUSED:
        arguments.pop(name, None)
    ours = COMMON | OWN[class_name]
    strange = sorted(shown(name) for name in arguments if name not in ours)
    if strange:
        raise CheckpointError(
            f"{origin} was made with {strange[0]}, an argument of no network known here"
        )
    fields = {ours[name]: _plain(value) for name, value in arguments.items()}
    preconditioning = PRECONDITIONINGS[class_name]
    try:
        return NetworkConfig.model_validate(
            {"architecture": architecture, "preconditioning": preconditioning, **fields}
        )
    except ValidationError as error:
        raise CheckpointError(
            f"{origin} has a network that can't be built: {first_fault(error, 'network')}"
        ) from error


def label_dropout_of(state: dict[str, Any], origin: str) -> float:
    """The share of images whose class the training left out, of what `config_of` has accepted.

    CheckpointError where it is no such share.
    """
    share = state["_init_kwargs"].get("label_dropout", 0)
    if type(share) not in (int, float) or not 0 <= share <= 1:
        raise CheckpointError(f"{origin}: label_dropout is {shown(share)}; expected 0 to 1")
    return float(share)


def _plain(value: Any) -> Any:
    """Tuples as lists, since EDM's options come as either."""
    return list(value) if isinstance(value, tuple) else value
