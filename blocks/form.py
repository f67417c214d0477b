"""How a model is shown as a form in the Prefect UI, whose rules pydantic does not know."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Annotated, Any

from pydantic import BaseModel, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from lipsync_core import sync


def installed(group: str, *more: str) -> Callable[[dict[str, Any]], None]:
    """A drop-down of the engines installed here, and ``more``; for ``json_schema_extra``."""

    def add_choices(field: dict[str, Any]) -> None:
        field["enum"] = [*more, *sorted(entry_points(group=group).names)]

    return add_choices


ScorerName = Annotated[
    str,
    Field(
        title="Scorer",
        description="what measures lips against sound; auto: syncnet where its weights are, else "
        "landmark",
        json_schema_extra=installed(sync.GROUP, sync.AUTO),
    ),
]
"""A field that names a scorer."""


class Form(BaseModel):
    """Fields in the order they are written in, each one plain box; what is left empty is not said.

    The UI shows an optional field as a switch between two types, and sends every default it was
    told of as if a person had typed it. So the form is told no types but one and no defaults;
    they stand in square brackets behind the description, as on the command line.
    """

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The schema the form is drawn from."""
        schema = handler(core_schema)
        fields = handler.resolve_ref_schema(schema).get("properties", {})
        for position, field in enumerate(fields.values()):
            field["position"] = position  # the server's database may not keep the order
            for kind in field.pop("anyOf", ()):
                if kind != {"type": "null"}:
                    field.update(kind)
            if default := field.pop("default", None):
                field["description"] = f"{field.get('description', '')} [{default}]".strip()
        return schema

    @model_validator(mode="before")
    @classmethod
    def _empty_is_not_said(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if value not in (None, "")}
