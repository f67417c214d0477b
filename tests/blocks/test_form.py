from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prefect import Flow
from prefect.utilities.callables import parameter_schema
from pydantic import BaseModel

from blocks.settings import LipsyncSettings
from flows.bulk import bulk
from flows.portrait import portrait
from flows.portrait_request import PortraitRequest
from flows.request import BulkRequest


def form_of(flow: Flow[..., Any], model: type[BaseModel]) -> dict[str, dict[str, Any]]:
    """The fields of the schema Prefect draws the form from."""
    schema = parameter_schema(flow.fn).model_dump()
    fields: dict[str, dict[str, Any]] = schema["definitions"][model.__name__]["properties"]
    return fields


FIELDS = form_of(bulk, BulkRequest)
PORTRAIT_FIELDS = form_of(portrait, PortraitRequest)


@pytest.mark.parametrize(
    "field", [*FIELDS.values(), *PORTRAIT_FIELDS.values()], ids=[*FIELDS, *PORTRAIT_FIELDS]
)
def test_every_field_has_a_title_a_description_and_one_plain_box(field: dict[str, Any]) -> None:
    assert field["title"]
    assert field["description"]
    assert "anyOf" not in field
    assert field["type"] in {"string", "number", "integer", "boolean"}


def test_fields_keep_the_order_they_are_written_in() -> None:
    written = list(BulkRequest.model_fields)
    assert sorted(FIELDS, key=lambda name: FIELDS[name]["position"]) == written
    assert written[:2] == ["video", "audio"]
    asked = sorted(PORTRAIT_FIELDS, key=lambda name: PORTRAIT_FIELDS[name]["position"])
    assert asked == list(PortraitRequest.model_fields)
    assert asked[:2] == ["image", "audio"]


def test_no_default_is_sent_as_if_a_person_had_typed_it_but_each_is_told() -> None:
    assert not any("default" in field for field in FIELDS.values())
    assert FIELDS["generator"]["description"].endswith("[rewrite]")
    assert FIELDS["segment_seconds"]["description"].endswith("[10.0]")
    assert PORTRAIT_FIELDS["generator"]["description"].endswith("[puppet]")


def test_engines_are_a_drop_down_of_what_is_installed() -> None:
    assert "rewrite" in FIELDS["generator"]["enum"]
    assert "landmark" in FIELDS["scorer"]["enum"]


@pytest.mark.parametrize("model", [BulkRequest, LipsyncSettings])
def test_an_engine_of_another_package_joins_the_drop_down(
    model: type[BaseModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = tmp_path / "other-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[lipsync.generators]\nother = other:Engine\n")
    monkeypatch.syspath_prepend(tmp_path)
    choices = model.model_json_schema()["properties"]["generator"]["enum"]
    assert {"other", "rewrite"} <= set(choices)


def test_bounds_reach_the_form() -> None:
    workers = FIELDS["max_workers"]
    assert (workers["minimum"], workers["maximum"]) == (1, 64)


def test_a_box_left_empty_is_not_filled_in() -> None:
    given = {"video": "a.mp4", "audio": "a.wav", "manifest": "", "out": None, "budget": None}
    assert BulkRequest.model_validate(given).model_fields_set == {"video", "audio"}
