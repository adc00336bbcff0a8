"""The small layers of the Song/EDM U-Nets: initialisation, resampling convolutions, embeddings.

Behaviour follows Song et al. 2021 (Score-based generative modeling through SDEs) as configured by
Karras et al. 2022 (Elucidating the design space of diffusion-based generative models), app. F.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


@torch.no_grad()
def init_xavier(module: nn.Module, gain: float = 1.0) -> None:
    """Xavier-uniform weights times `gain` and zero biases, in place."""
    for name, parameter in module.named_parameters():
        if name.endswith("bias"):
            parameter.zero_()
        else:
            nn.init.xavier_uniform_(parameter)
            parameter.mul_(gain)


class ResampledConv2d(nn.Module):
    """A convolution that also halves (`down`) or doubles (`up`) the side of its input.

    Resampling is a separable low-pass filter, applied before the convolution; with `fused` and
    `down` the filter is applied after it, on the wider padded result. Shapes [B,Cin,H,W] ->
    [B,Cout,H/2,W/2] or [B,Cout,2H,2W].
    """

    resample_filter: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        filter_taps: Sequence[int],
        *,
        up: bool = False,
        down: bool = False,
        fused: bool = False,
    ) -> None:
        """`kernel`: the convolution's odd side in pixels. ValueError unless it is up or down."""
        super().__init__()
        if up == down or (fused and up):
            raise ValueError("exactly one of up and down; fused only with down")
        self.up, self.fused = up, fused
        self.kernel_pad = kernel // 2
        self.filter_pad = (len(filter_taps) - 1) // 2
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        # in Python: arithmetic on the meta device imports torch's compiler, which takes a second
        total = sum(filter_taps) ** 2
        kernel2d = [[a * b / total for b in filter_taps] for a in filter_taps]
        self.register_buffer("resample_filter", torch.tensor([[kernel2d]], dtype=torch.float32))

    def _halve(self, x: Tensor, pad: int) -> Tensor:
        taps = self.resample_filter.to(x.dtype).expand(x.shape[1], 1, -1, -1)
        return functional.conv2d(x, taps, groups=x.shape[1], stride=2, padding=pad)

    def _double(self, x: Tensor) -> Tensor:
        taps = (self.resample_filter.to(x.dtype) * 4).expand(x.shape[1], 1, -1, -1)
        return functional.conv_transpose2d(
            x, taps, groups=x.shape[1], stride=2, padding=self.filter_pad
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B,Cin,H,W] -> [B,Cout,H/2,W/2] or [B,Cout,2H,2W]."""
        if self.fused:
            wide = functional.conv2d(x, self.weight, padding=self.kernel_pad + self.filter_pad)
            return self._halve(wide, 0) + self.bias[:, None, None]
        x = self._double(x) if self.up else self._halve(x, self.filter_pad)
        return functional.conv2d(x, self.weight, self.bias, padding=self.kernel_pad)


def group_norm(channels: int, eps: float = 1e-6) -> nn.GroupNorm:
    """Groups of at least four channels, at most 32 groups."""
    return nn.GroupNorm(min(32, channels // 4), channels, eps=eps)


class PositionalEmbedding(nn.Module):
    """Noise label [B] -> [B, channels]: cosines and sines at frequencies 1 down to 1e-4."""

    def __init__(self, channels: int, max_positions: float = 10_000) -> None:
        super().__init__()
        self.channels, self.max_positions = channels, max_positions

    def forward(self, noise_label: Tensor) -> Tensor:
        """[B] -> [B, channels]."""
        half = self.channels // 2
        exponent = torch.arange(half, dtype=torch.float32, device=noise_label.device) / (half - 1)
        angle = torch.outer(noise_label, self.max_positions ** -exponent.to(noise_label.dtype))
        return torch.cat([angle.cos(), angle.sin()], dim=1)


class FourierEmbedding(nn.Module):
    """Noise label [B] -> [B, channels]: cosines and sines at fixed random frequencies."""

    freqs: Tensor

    def __init__(self, channels: int, scale: float = 16) -> None:
        super().__init__()
        freqs = torch.empty(channels // 2)
        if not freqs.is_meta:  # as where weights are read: what is drawn there imports the compiler
            freqs.normal_(std=scale)
        self.register_buffer("freqs", freqs)

    def forward(self, noise_label: Tensor) -> Tensor:
        """[B] -> [B, channels]."""
        angle = torch.outer(noise_label, (2 * torch.pi * self.freqs).to(noise_label.dtype))
        return torch.cat([angle.cos(), angle.sin()], dim=1)
