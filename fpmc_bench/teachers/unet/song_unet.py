"""SongUNet: the DDPM++ and NCSN++ networks of Song et al. 2021, as used by EDM.

Parameter names follow the published EDM checkpoints (`enc.32x32_conv.weight`,
`map_layer0.bias`, ...), so that their state dicts fit without renaming.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from fpmc_bench.teachers.unet.config import NetworkConfig
from fpmc_bench.teachers.unet.layers import (
    FourierEmbedding,
    PositionalEmbedding,
    ResampledConv2d,
    group_norm,
    init_xavier,
)

SKIP_SCALE = 0.5**0.5
"""Residual sums are divided by sqrt(2) so that their variance stays put."""


class UNetBlock(nn.Module):
    """Residual block with noise embedding, optional resampling and single-head self-attention.

    (x [B,Cin,H,W], embedding [B,E]) -> [B,Cout,H',W'] with H' = H, H/2 (down) or 2H (up).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        config: NetworkConfig,
        *,
        up: bool = False,
        down: bool = False,
        attention: bool = False,
    ) -> None:
        super().__init__()
        self.out_channels, self.dropout, self.attention = out_channels, config.dropout, attention

        def conv(cin: int, kernel: int) -> nn.Module:
            if up or down:
                taps = config.resample_filter
                return ResampledConv2d(cin, out_channels, kernel, taps, up=up, down=down)
            return nn.Conv2d(cin, out_channels, kernel, padding=kernel // 2)

        self.norm0 = group_norm(in_channels)
        self.conv0 = conv(in_channels, 3)
        self.affine = nn.Linear(config.embedding_channels, out_channels)
        self.norm1 = group_norm(out_channels)
        self.conv1 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        needs_skip = up or down or in_channels != out_channels
        self.skip = conv(in_channels, 1) if needs_skip else None
        for module in (self.conv0, self.affine, self.skip):
            if module is not None:
                init_xavier(module)
        init_xavier(self.conv1, 1e-5)
        if attention:
            self.norm2 = group_norm(out_channels)
            self.qkv = nn.Conv2d(out_channels, 3 * out_channels, 1)
            self.proj = nn.Conv2d(out_channels, out_channels, 1)
            init_xavier(self.qkv, 0.2**0.5)
            init_xavier(self.proj, 1e-5)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """x [B,Cin,H,W], embedding [B,E] -> [B,Cout,H',W']."""
        h = self.conv0(functional.silu(self.norm0(x)))
        h = functional.silu(self.norm1(h + self.affine(embedding)[:, :, None, None]))
        h = self.conv1(functional.dropout(h, p=self.dropout, training=self.training))
        h = SKIP_SCALE * (h + (x if self.skip is None else self.skip(x)))
        if self.attention:
            # the published weights interleave q, k and v by channel
            qkv = self.qkv(self.norm2(h)).unflatten(1, (self.out_channels, 3)).flatten(3)
            q, k, v = (part.transpose(1, 2) for part in qkv.unbind(2))
            a = functional.scaled_dot_product_attention(q, k, v)
            h = SKIP_SCALE * (h + self.proj(a.transpose(1, 2).reshape(h.shape)))
        result: Tensor = h
        return result


class SongUNet(nn.Module):
    """(x [B,C,H,W], noise_label [B]) -> [B,C,H,W]; the raw network F of EDM's eq. 7."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        fourier = config.embedding == "fourier"
        noise_channels = config.model_channels * (2 if fourier else 1)
        embed = FourierEmbedding if fourier else PositionalEmbedding
        self.map_noise = embed(noise_channels)
        if config.label_dim:
            self.map_label = nn.Linear(config.label_dim, noise_channels)
            init_xavier(self.map_label)
        if config.augment_dim:
            self.map_augment = nn.Linear(config.augment_dim, noise_channels, bias=False)
            init_xavier(self.map_augment)
        self.map_layer0 = nn.Linear(noise_channels, config.embedding_channels)
        self.map_layer1 = nn.Linear(config.embedding_channels, config.embedding_channels)
        init_xavier(self.map_layer0)
        init_xavier(self.map_layer1)
        self.enc, skip_channels = self._encoder()
        self.dec = self._decoder(skip_channels)

    def _encoder(self) -> tuple[nn.ModuleDict, list[int]]:
        config = self.config
        layers: dict[str, nn.Module] = {}
        skips: list[int] = []
        cout, aux_channels = config.model_channels, config.channels
        for halvings, mult in enumerate(config.channel_mult):
            side = config.side_px >> halvings
            if halvings == 0:
                layers[f"{side}x{side}_conv"] = nn.Conv2d(config.channels, cout, 3, padding=1)
            else:
                layers[f"{side}x{side}_down"] = UNetBlock(cout, cout, config, down=True)
                if config.residual_encoder:
                    layers[f"{side}x{side}_aux_residual"] = ResampledConv2d(
                        aux_channels, cout, 3, config.resample_filter, down=True, fused=True
                    )
                    aux_channels = cout
            skips.append(cout)
            for index in range(config.num_blocks):
                cin, cout = cout, config.model_channels * mult
                attention = side in config.attention_sides
                layers[f"{side}x{side}_block{index}"] = UNetBlock(
                    cin, cout, config, attention=attention
                )
                skips.append(cout)
        for layer in layers.values():
            if not isinstance(layer, UNetBlock):
                init_xavier(layer)
        return nn.ModuleDict(layers), skips

    def _decoder(self, skips: list[int]) -> nn.ModuleDict:
        config = self.config
        layers: dict[str, nn.Module] = {}
        skips = list(skips)
        cout = skips[-1]
        deepest = len(config.channel_mult) - 1
        for halvings, mult in reversed(list(enumerate(config.channel_mult))):
            side = config.side_px >> halvings
            if halvings == deepest:
                layers[f"{side}x{side}_in0"] = UNetBlock(cout, cout, config, attention=True)
                layers[f"{side}x{side}_in1"] = UNetBlock(cout, cout, config)
            else:
                layers[f"{side}x{side}_up"] = UNetBlock(cout, cout, config, up=True)
            for index in range(config.num_blocks + 1):
                cin, cout = cout + skips.pop(), config.model_channels * mult
                attention = index == config.num_blocks and side in config.attention_sides
                layers[f"{side}x{side}_block{index}"] = UNetBlock(
                    cin, cout, config, attention=attention
                )
        side = config.side_px
        layers[f"{side}x{side}_aux_norm"] = group_norm(cout)
        layers[f"{side}x{side}_aux_conv"] = nn.Conv2d(cout, config.channels, 3, padding=1)
        init_xavier(layers[f"{side}x{side}_aux_conv"], 1e-5)
        return nn.ModuleDict(layers)

    def _embed(self, noise_label: Tensor, label: int | None) -> Tensor:
        cosines, sines = self.map_noise(noise_label).chunk(2, dim=1)
        embedding = torch.cat([sines, cosines], dim=1)
        # augmentation labels are zero at test time: map_augment, which has no bias, adds nothing
        if self.config.label_dim:
            embedding = embedding + self.map_label.bias
            if label is not None:  # a one-hot vector times EDM's scale
                embedding = embedding + self.config.label_dim**0.5 * self.map_label.weight[:, label]
        embedding = functional.silu(self.map_layer0(embedding))
        return functional.silu(self.map_layer1(embedding))

    def forward(self, x: Tensor, noise_label: Tensor, label: int | None = None) -> Tensor:
        """x [B,C,H,W], noise_label [B] -> [B,C,H,W].

        `label` is the class of all images; None is an all-zero label, of no class.
        """
        embedding = self._embed(noise_label, label)
        skips: list[Tensor] = []
        aux = x
        for name, layer in self.enc.items():
            if name.endswith("aux_residual"):
                x = aux = skips[-1] = SKIP_SCALE * (x + layer(aux))
                continue
            x = layer(x, embedding) if isinstance(layer, UNetBlock) else layer(x)
            skips.append(x)
        for name, layer in self.dec.items():
            if name.endswith("aux_norm"):
                x = functional.silu(layer(x))
            elif name.endswith("aux_conv"):
                x = layer(x)
            else:
                if "block" in name:
                    x = torch.cat([x, skips.pop()], dim=1)
                x = layer(x, embedding)
        return x
