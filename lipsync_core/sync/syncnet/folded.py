"""The network folded for use: the same answers in two thirds of the time.

Normalisation is folded into the convolution before it; the five frames of a look become one plane
at the first stage, so planes take the place of volumes; and memory is laid out channels last. The
vectors differ from the plain network's by a few 1e-6 of their size.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from lipsync_core.sync.syncnet.network import SyncNet


class FoldedSyncNet:
    """See :class:`SyncNet`; for use only, not for training."""

    def __init__(self, network: SyncNet, device: torch.device) -> None:
        with torch.no_grad():  # inference_mode would leave weights that a batch of one cannot use
            lips, sounds = (
                nn.Sequential(*_folded(tower)).eval()
                for tower in (network.netcnnlip, network.netcnnaud)
            )
        for parameter in (*lips.parameters(), *sounds.parameters()):
            parameter.data = parameter.data.to(device)
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        self._lips, self._sounds = lips, sounds
        self._lip_head, self._sound_head = network.netfclip.to(device), network.netfcaud.to(device)
        self._device = device

    def see(self, looks: Tensor) -> Tensor:
        """Vectors of faces: (n, 224, 224, 15) uint8, the blue, green and red of five frames one
        after the other → (n, 1024)."""
        planes = looks.to(self._device).permute(0, 3, 1, 2).float()
        seen: Tensor = self._lip_head(self._lips(planes).flatten(1))
        return seen

    def hear(self, cepstra: Tensor) -> Tensor:
        """Vectors of sound: (n, 1, 13, 20) float32 → (n, 1024)."""
        given = cepstra.to(self._device).contiguous(memory_format=torch.channels_last)
        heard: Tensor = self._sound_head(self._sounds(given).flatten(1))
        return heard


def _folded(tower: nn.Sequential) -> Iterator[nn.Module]:
    layers = list(tower)
    for layer, after in zip(layers, [*layers[1:], None], strict=True):
        if isinstance(layer, nn.Conv2d | nn.Conv3d):
            assert isinstance(after, nn.BatchNorm2d | nn.BatchNorm3d)
            yield _convolution(layer, after)
        elif isinstance(layer, nn.MaxPool3d):
            yield nn.MaxPool2d(_flat(layer.kernel_size), _flat(layer.stride), _flat(layer.padding))
        elif isinstance(layer, nn.ReLU):
            yield nn.ReLU(inplace=True)
        elif not isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d):
            yield layer


def _convolution(layer: nn.Conv2d | nn.Conv3d, norm: nn.BatchNorm2d | nn.BatchNorm3d) -> nn.Conv2d:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    fused, bias = fuse_conv_bn_weights(
        layer.weight, layer.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight,
        norm.bias,
    )  # fmt: skip
    weight: Tensor = fused
    if isinstance(layer, nn.Conv3d):  # the frames of a look become channels, one after the other
        weight = fused.permute(0, 2, 1, 3, 4).flatten(1, 2)
    made, given, *kernel = weight.shape
    flat = nn.Conv2d(given, made, _flat(tuple(kernel)), _flat(layer.stride), _flat(layer.padding))
    flat.weight, flat.bias = nn.Parameter(weight), nn.Parameter(bias)
    return flat


def _flat(size: object) -> tuple[int, int]:
    """Of a size in frames, rows and columns: the rows and columns."""
    down, across = tuple(size)[-2:] if isinstance(size, tuple) else (size, size)
    return int(down), int(across)
