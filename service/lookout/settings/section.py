"""The base class of the tables of settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """A table of the TOML file. Unknown keys are errors: a misspelt setting must not be ignored silently."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    @field_validator("*", mode="before")
    @classmethod
    def _names_a_place(cls, value: object, info: ValidationInfo) -> object:
        """Refuse an empty path, which would mean the current folder, whichever that is."""
        if value == "" and info.field_name and cls.model_fields[info.field_name].annotation == Path | None:
            raise ValueError("the path is empty")
        return value
