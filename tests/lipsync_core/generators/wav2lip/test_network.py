"""The network of Wav2Lip, against golden values measured with the published program."""

from __future__ import annotations

import copy

import pytest
import torch
from synthetic_weights import numbers, simple_wav2lip, synthetic_tensors

from lipsync_core.generators.wav2lip.folded import HALF, FoldedWav2Lip
from lipsync_core.generators.wav2lip.network import Wav2LipNetwork, networks_tensors


@pytest.fixture(scope="module")
def network() -> Wav2LipNetwork:
    network = Wav2LipNetwork().eval()
    network.load_state_dict(synthetic_tensors(network))
    return network


@pytest.fixture(scope="module")
def faces() -> torch.Tensor:
    drawn = 0.5 + 0.5 * numbers(1009, 6 * 96 * 96)
    return torch.from_numpy(drawn).float().reshape(1, 6, 96, 96)


@pytest.fixture(scope="module")
def mel() -> torch.Tensor:
    drawn = -4 + 8 * (0.5 + 0.5 * numbers(1002, 80 * 16))
    return torch.from_numpy(drawn).float().reshape(1, 1, 80, 16)


@torch.inference_mode()
def test_every_stage_is_the_published_one(
    network: Wav2LipNetwork, faces: torch.Tensor, mel: torch.Tensor
) -> None:
    made = network(mel, faces)
    assert made.shape == (1, 3, 96, 96)
    assert made.mean().item() == pytest.approx(0.441391, rel=1e-3)
    assert made.std().item() == pytest.approx(0.48771, rel=1e-3)
    first = [1.9e-05, 0.998938, 0, 0.006172, 0]
    assert made.flatten()[:5].tolist() == pytest.approx(first, rel=1e-3, abs=1e-6)
    heard = network.audio_encoder(mel)
    assert heard.shape == (1, 512, 1, 1)
    assert heard.mean().item() == pytest.approx(4.27508, rel=1e-3)
    assert heard.std().item() == pytest.approx(6.36841, rel=1e-3)
    means = [0.347312, 0.922057, 2.4783, 4.9023, 7.39351, 8.14982, 6.432]
    seen = faces
    for block, mean in zip(network.face_encoder_blocks, means, strict=True):
        seen = block(seen)
        assert seen.mean().item() == pytest.approx(mean, rel=1e-3)


def test_has_the_tensors_of_the_checkpoint() -> None:
    tensors = networks_tensors()
    assert len(tensors) == 352
    assert {name.partition(".")[0] for name in tensors} == {
        "face_encoder_blocks", "audio_encoder", "face_decoder_blocks", "output_block"
    }  # fmt: skip
    assert sum(parameter.numel() for parameter in Wav2LipNetwork().parameters()) == 36_298_035


@torch.inference_mode()
@pytest.mark.parametrize("made_by", ["numbers", "hand"])
def test_folded_it_makes_the_same_lower_halves(made_by: str, network: Wav2LipNetwork) -> None:
    plain = network if made_by == "numbers" else simple_wav2lip(0.3)
    drawn = (127.5 + 127.5 * numbers(3, 2 * 96 * 96 * 3)).reshape(2, 96, 96, 3)
    faces = torch.from_numpy(drawn).byte()
    mel = torch.from_numpy(4 * numbers(4, 2 * 80 * 16)).float().reshape(2, 1, 80, 16)
    whole = faces.permute(0, 3, 1, 2).float() / 255
    hidden = whole.clone()
    hidden[:, :, HALF:] = 0
    wanted = (plain(mel, torch.cat([hidden, whole], 1)) * 255)[:, :, HALF:].permute(0, 2, 3, 1)
    folded = FoldedWav2Lip(copy.deepcopy(plain), torch.device("cpu"))
    made = folded.speak(mel, faces)
    assert (made.shape, made.dtype) == ((2, 48, 96, 3), torch.uint8)
    assert (made.float() - wanted).abs().max() < 0.51  # it is rounded
