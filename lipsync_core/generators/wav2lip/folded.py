"""The network folded for use: the lower halves of the same faces, in well under half the time.

Normalisation is folded into the convolution before it, memory is laid out channels last, and of
the three last stages, which are most of the work, only the rows are computed that the lower half of
the face depends on. The upper half is a copy of what goes in; nobody needs it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from lipsync_core.errors import InputError
from lipsync_core.generators.wav2lip.network import FACE_SIDE, Wav2LipNetwork

HALF = FACE_SIDE // 2
# After these decoder blocks, of 12, 24 and 48 rows, the first few are dropped. Every 3×3
# convolution spoils one row below an edge made by cutting: two at each size, three at the last.
_DROPPED = {3: 4, 4: 2, 5: 2}
_SPOILT = 4  # of the 52 rows that are left in the end


class FoldedWav2Lip:
    """See :class:`Wav2LipNetwork`; for use only, not for training. The network given is used up.

    ``dtype`` is what is computed with: float32, or float16 or bfloat16, which are faster where the
    device has units for them.
    """

    def __init__(
        self, network: Wav2LipNetwork, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> None:
        with torch.no_grad():  # inference_mode would leave weights that a batch of one cannot use
            for module in network.modules():
                block = getattr(module, "conv_block", None)
                if isinstance(block, nn.Sequential):
                    _fold(block)
        for parameter in network.parameters():
            parameter.data = parameter.data.to(device, dtype)
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        self._network = network
        self.device, self.dtype = device, dtype

    @torch.inference_mode()
    def speak(self, mel: Tensor, faces: Tensor) -> Tensor:
        """The lower halves of faces that speak: (n, 1, 80, 16) float32 and (n, 96, 96, 3) uint8
        → (n, 48, 96, 3) uint8, blue, green and red.

        Raises:
            InputError: the numbers overflow, as they may in 16 bits.
        """
        whole = self._given(faces.permute(0, 3, 1, 2)) / 255
        hidden = whole.clone()
        hidden[:, :, HALF:] = 0
        seen = [torch.cat([hidden, whole], dim=1)]
        for block in self._network.face_encoder_blocks:
            seen.append(block(seen[-1]))
        made: Tensor = self._network.audio_encoder(self._given(mel))
        top = 0  # the row of the whole picture that comes first
        for number, block in enumerate(self._network.face_decoder_blocks):
            made = block(made)
            top = 2 * top + _DROPPED.get(number, 0)
            beside = seen.pop()[:, :, top:]
            made = torch.cat([made[:, :, _DROPPED.get(number, 0) :], beside], dim=1)
        spoken = self._network.output_block(made)[:, :, _SPOILT:]
        if not torch.isfinite(spoken).all():
            raise InputError(
                f"the network gives numbers that are none ({self.dtype}): give precision=full, or "
                "fetch its checkpoint again"
            )
        return (spoken.float() * 255).round_().to(torch.uint8).permute(0, 2, 3, 1)

    def _given(self, tensor: Tensor) -> Tensor:
        there = tensor.to(self.device, self.dtype, non_blocking=True)
        return there.contiguous(memory_format=torch.channels_last)


def _fold(block: nn.Sequential) -> None:
    """Make of a convolution and its normalisation one convolution, in place."""
    convolution, norm = block
    assert isinstance(convolution, nn.Conv2d | nn.ConvTranspose2d)
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    convolution.weight, convolution.bias = fuse_conv_bn_weights(
        convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps,
        norm.weight, norm.bias, transpose=isinstance(convolution, nn.ConvTranspose2d),
    )  # fmt: skip
    block[1] = nn.Identity()
