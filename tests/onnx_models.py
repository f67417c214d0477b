"""Small ONNX models of the forms that people bring along, written for a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Side = int | str
FLOAT, HALF, DOUBLE = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE


def value(name: str, *shape: Side, kind: int = FLOAT) -> Any:
    """An input or output."""
    return helper.make_tensor_value_info(name, kind, list(shape))


def constant(name: str, values: Any, kind: Any = np.float32) -> Any:
    """A stored tensor."""
    return numpy_helper.from_array(np.asarray(values, kind), name)


def written(
    path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], stored: list[Any]
) -> Path:
    """A model file of that graph."""
    graph = helper.make_graph(nodes, "made for a test", inputs, outputs, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def restorer(
    path: Path, *, side: Side = 512, kind: int = FLOAT, add: float = 0.0, batch: Side = 1,
    strength: tuple[str, int, list[int]] | None = None, channels: Side = 3,
) -> Path:  # fmt: skip
    """A face-restoration model that gives back what it gets plus ``add``; with ``strength``, plus
    ``add`` times what that input says (its name, kind and shape)."""
    shape = (batch, channels, side, side)
    form: Any = {FLOAT: np.float32, HALF: np.float16}[kind]
    stored = [constant("add", add, form)]
    inputs, nodes, added = [value("input", *shape, kind=kind)], [], "add"
    if strength is not None:
        name, its_kind, its_shape = strength
        inputs.append(value(name, *its_shape, kind=its_kind))
        stored.append(constant("one", [1], np.int64))
        nodes = [
            helper.make_node("Reshape", [name, "one"], ["flat"]),
            helper.make_node("Cast", ["flat"], ["cast"], to=kind),
            helper.make_node("Mul", ["cast", "add"], ["scaled"]),
        ]
        added = "scaled"
    nodes.append(helper.make_node("Add", ["input", added], ["output"]))
    return written(path, nodes, inputs, [value("output", *shape, kind=kind)], stored)


def nearest(path: Path, *, times: int = 2, side: Side | None = None) -> Path:
    """An upscaler that repeats every pixel."""
    sides = ("h", "w") if side is None else (side, side)
    node = helper.make_node(
        "Resize", ["input", "", "scales"], ["output"], mode="nearest", nearest_mode="floor",
        coordinate_transformation_mode="asymmetric",
    )  # fmt: skip
    outputs = [value("output", 1, 3, "H", "W")]
    scales = constant("scales", [1, 1, times, times])
    return written(path, [node], [value("input", 1, 3, *sides)], outputs, [scales])


def convolver(path: Path, *, times: int = 2, seed: int = 3) -> Path:
    """An upscaler of two layers with weights of chance, a nonlinearity and a pixel shuffle; what
    it makes of a pixel depends on six pixels round it."""
    random = np.random.default_rng(seed)

    def weights(name: str, out: int, into: int, size: int) -> Any:
        drawn: NDArray[Any] = random.standard_normal((out, into, size, size))
        return constant(name, drawn / np.sqrt(into * size * size))

    nodes = [
        helper.make_node("Conv", ["input", "first"], ["seen"], pads=[3] * 4),
        helper.make_node("Relu", ["seen"], ["felt"]),
        helper.make_node("Conv", ["felt", "second"], ["deep"], pads=[3] * 4),
        helper.make_node("Sigmoid", ["deep"], ["bounded"]),
        helper.make_node("DepthToSpace", ["bounded"], ["output"], blocksize=times, mode="CRD"),
    ]
    stored = [weights("first", 8, 3, 7), weights("second", 3 * times**2, 8, 7)]
    inputs, outputs = [value("input", 1, 3, "h", "w")], [value("output", 1, 3, "H", "W")]
    return written(path, nodes, inputs, outputs, stored)
