"""Numbers that are the same on every machine, and networks filled with them.

Number i of stream j is the splitmix64 finaliser of j·2³² + i + the golden ratio, scaled to −1…1.
The rule is the one the golden values of the tests were measured with.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lipsync_core.generators.wav2lip.network import Wav2LipNetwork
from lipsync_core.sync.syncnet.network import SyncNet

_RAISED = 40.0  # nats: louder than minus any silence, so that no stage cuts it off


def numbers(stream: int, count: int) -> NDArray[np.float64]:
    """The first ``count`` numbers of a stream, each in −1…1."""
    mixed = np.arange(count, dtype=np.uint64) + np.uint64((stream << 32) + 0x9E3779B97F4A7C15)
    with np.errstate(over="ignore"):
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return 2 * ((mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53) - 1


def synthetic_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Tensors for every name of the network, with spreads like those of a trained one."""
    filled = {}
    for stream, (name, tensor) in enumerate(sorted(network.state_dict().items())):
        if name.endswith("num_batches_tracked"):
            filled[name] = tensor
            continue
        drawn = numbers(stream, tensor.numel()).reshape(tensor.shape)
        filled[name] = torch.from_numpy(_spread(name, drawn)).float()
    return filled


def _spread(name: str, drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    if name.endswith("running_var"):
        return 1 + 0.5 * drawn**2
    if drawn.ndim == 1:
        return 1 + 0.2 * drawn if name.endswith("weight") else 0.1 * drawn
    return drawn * np.sqrt(6 / drawn[0].size)


def simple_syncnet(darkness: tuple[float, float], loudness: tuple[float, float]) -> SyncNet:
    """A SyncNet made by hand, which really tells sync: it looks at how dark the mouth is and
    listens to how loud the sound is, each taken as its distance from the mean in spreads.

    Everything else is passed on or ignored: one channel goes through every stage. ``darkness`` and
    ``loudness`` are mean and spread of the two, in 255 − grey and in nats.
    """
    network = SyncNet().eval()
    _clear(network)
    lips, sound = network.netcnnlip, network.netcnnaud
    # 255 − the mean of blue, green and red over 7×7 pixels of the middle frame
    lips[0].weight.data[0, :, 2] = -1 / (3 * 49)
    lips[0].bias.data[0] = 255
    for number in (4, 8, 11, 14):  # the pixel itself; pooling takes the darkest of its neighbours
        weight = lips[number].weight.data
        weight[0, 0, 0, weight.shape[3] // 2, weight.shape[4] // 2] = 1
    lips[18].weight.data[0, 0, 0, 3, 2:4] = 1 / 2  # round (105, 121) of 224: where the mouth is
    # the energy of the middle of the sound: coefficient 0, raised over zero
    for number in (0, 4, 8, 11, 14):
        sound[number].weight.data[0, 0, 1, 1] = 1
    sound[0].bias.data[0] = _RAISED
    sound[18].weight.data[0, 0, 0, :] = 1 / 4  # of the first coefficients, at four moments
    for head, mean, spread in (
        (network.netfclip, darkness[0], darkness[1]),
        (network.netfcaud, loudness[0] + _RAISED, loudness[1]),
    ):
        head[0].weight.data[0, 0] = 1
        head[3].weight.data[0, 0] = 100 / spread
        head[3].bias.data[0] = -100 * mean / spread
    return network


def _clear(network: nn.Module) -> None:
    """Every weight 0, normalisation as good as none."""
    network.load_state_dict({
        name: torch.ones_like(tensor) if name.endswith(("running_var", "num_batches_tracked"))
        else torch.zeros_like(tensor)
        for name, tensor in network.state_dict().items()
    })  # fmt: skip
    for name, parameter in network.named_parameters():
        if name.endswith("weight") and parameter.ndim == 1:
            parameter.data.fill_(1.0)


HEARD_BAND, HEARD_COLUMN = 27, 6
"""The one number of the 80 × 16 that :func:`simple_wav2lip` listens to."""
_KNOTS = np.array([0.02, 0.06, 0.12, 0.2, 0.32, 0.5, 0.68, 0.8, 0.88, 0.94])
_EVEN = 1e-5  # what normalisation adds to a spread of 1


def simple_wav2lip(loudness: float = 0.0) -> Wav2LipNetwork:
    """A Wav2Lip made by hand that gives each face back as it was, and the darker the louder.

    ``loudness`` is by how much a pixel of middle grey falls, in shares of full light, where one
    band goes from silence to its loudest; 0 gives the faces back to a few levels of 255.

    The face goes through the first convolution and the last skip connection, and the logarithm
    that the final sigmoid takes back is drawn by straight lines between ten knots.
    """
    network = Wav2LipNetwork().eval()
    _clear(network)
    through = float(np.sqrt(1 + _EVEN))
    see = network.face_encoder_blocks[0][0].conv_block[0].weight.data
    for colour in range(3):
        see[colour, 3 + colour, 3, 3] = through
    for number, block in enumerate(network.audio_encoder):
        if not block.adds_input:
            weight = block.conv_block[0].weight.data
            middle = weight.shape[2] // 2
            weight[0, 0, middle, middle] = through
        if number == 0:
            block.conv_block[0].bias.data[0] = 4 * through  # mel from −4…4 to 0…8
    decoder = network.face_decoder_blocks
    decoder[0][0].conv_block[0].weight.data[0, 0] = through
    decoder[1][0].conv_block[0].weight.data[0, 0] = through  # a point becomes nine
    for block in decoder[2:]:  # each place is taken by just one tap
        block[0].conv_block[0].weight.data[0, 0, 1:, 1:] = through
    knots = network.output_block[0].conv_block[0]
    lines, start = network.output_block[1], np.log(_KNOTS / (1 - _KNOTS))
    slopes = np.diff(start) / np.diff(_KNOTS)
    steps = np.diff(slopes, prepend=0)
    for colour in range(3):
        lines.bias.data[colour] = start[0] - slopes[0] * _KNOTS[0]
        for line in range(9):
            unit = 9 * colour + line
            # the first line also goes on below its knot, where a rectified one would be flat
            knots.weight.data[unit, 64 + colour, 1, 1] = through
            knots.bias.data[unit] = -through * (0 if line == 0 else _KNOTS[line])
            lines.weight.data[colour, unit] = steps[line]
        lines.weight.data[colour, 27] = -4 * loudness / 8
    knots.weight.data[27, 0, 1, 1] = through
    return network
