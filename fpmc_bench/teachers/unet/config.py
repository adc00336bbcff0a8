"""The shape of a teacher network: everything needed to build it before its weights are read."""

from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    PositiveInt,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from fpmc_bench.documents.reading import Document

LATER_FIELDS = ("preconditioning", "label_dim", "beta_d", "beta_min", "noise_steps")
"""Fields that came when files and fingerprints already existed."""


class NetworkConfig(Document):
    """Architecture of one SongUNet and its preconditioning. Frozen, validated, JSON-able.

    `architecture` picks DDPM++ (positional embedding, plain encoder, box filter) or NCSN++
    (Fourier embedding, residual encoder, [1,3,3,1] filter), Song et al. 2021 as in EDM, table 7.
    `preconditioning` picks a column of EDM's table 1; `sigma_data` is of edm, `beta_d`, `beta_min`
    and `noise_steps` (M) are of vp. Augmentation labels are inputs of the training; a teacher
    answers with them zero. `label_dim` is the number of classes, 0 where there are none.

    A field that came later (LATER_FIELDS) is left out of the JSON at its default: so a network
    that exists has the same JSON, and with it the same fingerprint, as before there was the field.
    """

    architecture: Literal["ddpmpp", "ncsnpp"]
    # the limits are far beyond any network; they keep a strange file from building forever
    side_px: int = Field(ge=1, le=4096)
    channels: int = Field(ge=1, le=4096)
    model_channels: int = Field(default=128, ge=4, le=4096)
    channel_mult: tuple[Annotated[int, Field(ge=1, le=64)], ...] = Field(
        default=(2, 2, 2), min_length=1, max_length=12
    )
    num_blocks: int = Field(default=4, ge=1, le=64)
    attention_sides: tuple[PositiveInt, ...] = (16,)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    augment_dim: int = Field(default=0, ge=0, le=4096)
    sigma_data: float = Field(default=0.5, gt=0)
    preconditioning: Literal["edm", "vp", "ve"] = "edm"
    label_dim: int = Field(default=0, ge=0, le=4096)
    beta_d: float = Field(default=19.9, gt=0)
    beta_min: float = Field(default=0.1, ge=0)
    noise_steps: int = Field(default=1000, ge=2, le=1_000_000)

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = type(self).model_fields
        content: dict[str, Any] = handler(self)
        return {
            name: value
            for name, value in content.items()
            if name not in LATER_FIELDS or getattr(self, name) != fields[name].default
        }

    @model_validator(mode="after")
    def _sides_halve_evenly(self) -> "NetworkConfig":
        if self.side_px % (1 << (len(self.channel_mult) - 1)):
            raise ValueError(
                f"side_px {self.side_px} can't be halved {len(self.channel_mult) - 1} times "
                f"(channel_mult has {len(self.channel_mult)} values)"
            )
        if self.model_channels % 4:
            raise ValueError(f"model_channels must be a multiple of 4, got {self.model_channels}")
        return self

    @property
    def embedding(self) -> Literal["positional", "fourier"]:
        return "positional" if self.architecture == "ddpmpp" else "fourier"

    @property
    def residual_encoder(self) -> bool:
        return self.architecture == "ncsnpp"

    @property
    def resample_filter(self) -> tuple[int, ...]:
        return (1, 1) if self.architecture == "ddpmpp" else (1, 3, 3, 1)

    @property
    def embedding_channels(self) -> int:
        return 4 * self.model_channels
