"""The network itself, with the names its published checkpoint gives to its parts.

Two towers of convolutions, one for five frames of a face and one for 0.2 s of cepstra, each ending
in a vector of 1024 numbers (Chung and Zisserman, "Out of time", 2016). The nearer the two vectors,
the better lips and sound agree. The vectors are not normalised.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

FACE_SIDE = 224
FRAMES = 5  # of 1/25 s that one vector sees
ROWS = 20  # of 10 ms that one vector hears: the same 0.2 s
COEFFICIENTS = 13
FEATURES = 1024


class SyncNet(nn.Module):
    """Faces and sound to vectors that can be compared; for use in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        # pooling over 1×1 does nothing; it keeps the numbers in the checkpoint's names
        self.netcnnaud = nn.Sequential(
            *_plane(1, 64, 3, padding=1), nn.MaxPool2d(1, 1),
            *_plane(64, 192, 3, padding=1), nn.MaxPool2d(3, (1, 2)),
            *_plane(192, 384, 3, padding=1),
            *_plane(384, 256, 3, padding=1),
            *_plane(256, 256, 3, padding=1), nn.MaxPool2d(3, 2),
            *_plane(256, 512, (5, 4)),
        )  # fmt: skip
        self.netfcaud = _head()
        self.netfclip = _head()
        self.netcnnlip = nn.Sequential(
            *_volume(3, 96, (FRAMES, 7, 7), stride=(1, 2, 2)), nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_volume(96, 256, (1, 5, 5), stride=(1, 2, 2), padding=(0, 1, 1)),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            *_volume(256, 256, (1, 3, 3), padding=(0, 1, 1)),
            *_volume(256, 256, (1, 3, 3), padding=(0, 1, 1)),
            *_volume(256, 256, (1, 3, 3), padding=(0, 1, 1)), nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_volume(256, 512, (1, 6, 6)),
        )  # fmt: skip

    def hear(self, cepstra: Tensor) -> Tensor:
        """Vectors of sound: (n, 1, 13, 20) float32 → (n, 1024)."""
        heard: Tensor = self.netfcaud(self.netcnnaud(cepstra).flatten(1))
        return heard

    def see(self, faces: Tensor) -> Tensor:
        """Vectors of faces: (n, 3, 5, 224, 224) float32, blue green red in 0…255 → (n, 1024)."""
        seen: Tensor = self.netfclip(self.features(faces))
        return seen

    def features(self, faces: Tensor) -> Tensor:
        """What the lip tower sees before its head: (n, 3, 5, 224, 224) → (n, 512)."""
        features: Tensor = self.netcnnlip(faces).flatten(1)
        return features


def _plane(
    given: int, made: int, kernel: int | tuple[int, int], padding: int = 0
) -> tuple[nn.Module, nn.Module, nn.Module]:
    return nn.Conv2d(given, made, kernel, padding=padding), nn.BatchNorm2d(made), nn.ReLU()


def _volume(
    given: int, made: int, kernel: tuple[int, int, int],
    stride: tuple[int, int, int] = (1, 1, 1), padding: tuple[int, int, int] = (0, 0, 0),
) -> tuple[nn.Module, nn.Module, nn.Module]:  # fmt: skip
    return nn.Conv3d(given, made, kernel, stride, padding), nn.BatchNorm3d(made), nn.ReLU()


def _head() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, FEATURES)
    )


def networks_tensors() -> dict[str, torch.Size]:
    """The names and shapes of everything a checkpoint of this network holds."""
    with torch.device("meta"):
        return {name: tensor.shape for name, tensor in SyncNet().state_dict().items()}
