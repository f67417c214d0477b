"""The network itself, with the names its checkpoints give to its parts.

A face of 96 × 96 pixels whose lower half is hidden, the same face whole, and 0.2 s of sound become
a face whose lower half goes with the sound (Prajwal and others, "A lip sync expert is all you
need", 2020). The checkpoints `wav2lip` and `wav2lip-gan` differ in their numbers only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

FACE_SIDE = 96
BANDS = 80
COLUMNS = 16  # of 1/80 s that one face hears

# What a convolution makes of how many channels, its kernel, stride and padding. One that keeps all
# of them the same has its input added to its output.
_Row = tuple[int, int, int, int | tuple[int, int], int]

_FACE: tuple[tuple[_Row, ...], ...] = (
    ((6, 16, 7, 1, 3),),
    ((16, 32, 3, 2, 1), (32, 32, 3, 1, 1), (32, 32, 3, 1, 1)),
    ((32, 64, 3, 2, 1), *3 * ((64, 64, 3, 1, 1),)),
    ((64, 128, 3, 2, 1), *2 * ((128, 128, 3, 1, 1),)),
    ((128, 256, 3, 2, 1), *2 * ((256, 256, 3, 1, 1),)),
    ((256, 512, 3, 2, 1), (512, 512, 3, 1, 1)),
    ((512, 512, 3, 1, 0), (512, 512, 1, 1, 0)),
)
_SOUND: tuple[_Row, ...] = (
    (1, 32, 3, 1, 1), *2 * ((32, 32, 3, 1, 1),),
    (32, 64, 3, (3, 1), 1), *2 * ((64, 64, 3, 1, 1),),
    (64, 128, 3, 3, 1), *2 * ((128, 128, 3, 1, 1),),
    (128, 256, 3, (3, 2), 1), (256, 256, 3, 1, 1),
    (256, 512, 3, 1, 0), (512, 512, 1, 1, 0),
)  # fmt: skip
# Every block but the first enlarges, then repeats: channels given, made, and how often.
_ENLARGED = (
    (1024, 512, 1), (1024, 512, 2), (768, 384, 2), (512, 256, 2), (320, 128, 2), (160, 64, 2)
)  # fmt: skip


class Convolution(nn.Module):
    """A convolution, normalised; its input added where it has the same form; rectified."""

    def __init__(self, row: _Row) -> None:
        super().__init__()
        given, made, kernel, stride, padding = row
        self.conv_block = nn.Sequential(
            nn.Conv2d(given, made, kernel, stride, padding), nn.BatchNorm2d(made)
        )
        self.adds_input = given == made and kernel == 3 and stride == 1 and padding == 1

    def forward(self, given: Tensor) -> Tensor:
        """(n, channels, rows, columns) → the same with other channels, smaller by the stride."""
        made: Tensor = self.conv_block(given)
        return torch.relu(made + given if self.adds_input else made)


class Enlargement(nn.Module):
    """A transposed convolution, normalised and rectified."""

    def __init__(self, given: int, made: int, *, from_a_point: bool) -> None:
        super().__init__()
        stride, padding = (1, 0) if from_a_point else (2, 1)
        self.conv_block = nn.Sequential(
            nn.ConvTranspose2d(given, made, 3, stride, padding, output_padding=padding),
            nn.BatchNorm2d(made),
        )

    def forward(self, given: Tensor) -> Tensor:
        """(n, channels, 1, 1) → (n, made, 3, 3), and from there on twice as large."""
        return torch.relu(self.conv_block(given))


class Wav2LipNetwork(nn.Module):
    """Faces and sound to faces; for use in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.face_encoder_blocks = nn.ModuleList(
            nn.Sequential(*map(Convolution, rows)) for rows in _FACE
        )
        self.audio_encoder = nn.Sequential(*map(Convolution, _SOUND))
        self.face_decoder_blocks = nn.ModuleList([
            nn.Sequential(Convolution((512, 512, 1, 1, 0))),
            *(
                nn.Sequential(
                    Enlargement(given, made, from_a_point=number == 0),
                    *(Convolution((made, made, 3, 1, 1)) for _ in range(repeated)),
                )
                for number, (given, made, repeated) in enumerate(_ENLARGED)
            ),
        ])  # fmt: skip
        self.output_block = nn.Sequential(
            Convolution((80, 32, 3, 1, 1)), nn.Conv2d(32, 3, 1), nn.Sigmoid()
        )

    def forward(self, mel: Tensor, faces: Tensor) -> Tensor:
        """Faces that speak: (n, 1, 80, 16) and (n, 6, 96, 96) → (n, 3, 96, 96), all float32.

        Of the six channels three are the face with rows 48…95 at 0, three the face whole: blue,
        green and red in 0…1, as in the result.
        """
        seen = [faces]
        for block in self.face_encoder_blocks:
            seen.append(block(seen[-1]))
        made: Tensor = self.audio_encoder(mel)
        for block in self.face_decoder_blocks:
            made = torch.cat([block(made), seen.pop()], dim=1)
        spoken: Tensor = self.output_block(made)
        return spoken


def networks_tensors() -> dict[str, torch.Size]:
    """The names and shapes of everything a checkpoint of this network holds."""
    with torch.device("meta"):
        return {name: tensor.shape for name, tensor in Wav2LipNetwork().state_dict().items()}
