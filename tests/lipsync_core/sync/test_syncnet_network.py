"""The network of SyncNet, against golden values measured with the published program."""

from __future__ import annotations

import pytest
import torch
from synthetic_weights import numbers, synthetic_tensors

from lipsync_core.sync.syncnet.folded import FoldedSyncNet
from lipsync_core.sync.syncnet.network import SyncNet, networks_tensors


@pytest.fixture(scope="module")
def network() -> SyncNet:
    network = SyncNet().eval()
    network.load_state_dict(synthetic_tensors(network))
    return network


@pytest.fixture(scope="module")
def faces() -> torch.Tensor:
    drawn = 255 * (0.5 + 0.5 * numbers(1000, 3 * 5 * 224 * 224))
    return torch.from_numpy(drawn).float().reshape(1, 3, 5, 224, 224)


@pytest.fixture(scope="module")
def cepstra() -> torch.Tensor:
    drawn = -20 + 40 * (0.5 + 0.5 * numbers(1005, 13 * 20))
    return torch.from_numpy(drawn).float().reshape(1, 1, 13, 20)


def told(vector: torch.Tensor) -> list[float]:
    """Mean, spread and the first five numbers."""
    return [vector.mean().item(), vector.std().item(), *vector.flatten()[:5].tolist()]


@torch.inference_mode()
def test_sees_hears_and_features_as_published(
    network: SyncNet, faces: torch.Tensor, cepstra: torch.Tensor
) -> None:
    seen = [4.00505, 264.349, 123.688, 167.141, -86.0698, -466.809, 106.993]
    assert told(network.see(faces)) == pytest.approx(seen, rel=1e-3)
    features = [115.91, 174.414, 167.404, 0, 0, 0, 388.843]
    assert told(network.features(faces)) == pytest.approx(features, rel=1e-3)
    heard = [0.803033, 19.7704, 1.47362, -30.3988, -13.3859, 13.4529, -5.83118]
    assert told(network.hear(cepstra)) == pytest.approx(heard, rel=1e-3)


@torch.inference_mode()
@pytest.mark.parametrize(
    ("tower", "means"),
    [("netcnnlip", {0: 8.61581, 3: 171.252, 7: 168.687, 17: 164.33}),
     ("netcnnaud", {0: 0.170185, 7: 14.4975, 17: 11.7508, 20: 8.63263})],
)  # fmt: skip
def test_every_stage_is_the_published_one(
    tower: str, means: dict[int, float], network: SyncNet, faces: torch.Tensor,
    cepstra: torch.Tensor,
) -> None:  # fmt: skip
    inside = faces if tower == "netcnnlip" else cepstra
    for number, layer in enumerate(getattr(network, tower)):
        inside = layer(inside)
        if number in means:
            assert inside.mean().item() == pytest.approx(means[number], rel=1e-3), number


def test_has_the_tensors_of_the_checkpoint() -> None:
    tensors = networks_tensors()
    assert len(tensors) == 102
    assert {name.partition(".")[0] for name in tensors} == {
        "netcnnaud", "netfcaud", "netfclip", "netcnnlip"
    }  # fmt: skip
    assert sum(parameter.numel() for parameter in SyncNet().parameters()) == 13_631_616


@torch.inference_mode()
@pytest.mark.parametrize("count", [1, 2])
def test_folded_it_gives_the_same_vectors(
    count: int, network: SyncNet, cepstra: torch.Tensor
) -> None:
    pictures = torch.from_numpy(127.5 + 127.5 * numbers(3, count * 5 * 224 * 224 * 3)).byte()
    pictures = pictures.reshape(count, 5, 224, 224, 3)
    folded = FoldedSyncNet(network, torch.device("cpu"))
    looks = pictures.permute(0, 2, 3, 1, 4).flatten(3)
    for found, plain in (
        (folded.see(looks), network.see(pictures.permute(0, 4, 1, 2, 3).float())),
        (folded.hear(cepstra), network.hear(cepstra)),
    ):
        assert (found - plain).abs().max() < 2e-5 * plain.abs().max()
