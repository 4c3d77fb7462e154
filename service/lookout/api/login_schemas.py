"""Request and response schemas for logging in and for links to the pictures."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, StrictStr


class _Response(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LoginRequest(BaseModel):
    """The token as `lookout token` prints it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"token": "pY3…"}})

    token: StrictStr = Field(min_length=1, max_length=200)


class LoginStatus(_Response):
    """What the login page shows. command: makes a token when typed on the machine that runs the service."""

    logged_in: bool
    token_exists: bool
    command: str
    scope: str = Field(description="The scope of the login; empty if there is none.")


class LinkWanted(BaseModel):
    """How long a link to the pictures is valid. for_s: seconds; a year by default."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"for_s": 86400}})

    for_s: float = Field(365 * 86400, strict=True, ge=60, le=10 * 366 * 86400, allow_inf_nan=False)


class StreamLink(_Response):
    """URLs of the pictures that need no token. They expire with the token that created them, at the latest."""

    stream: str = Field(description="Path of the stream, relative to the service's root.")
    snapshot: str = Field(description="Path of the newest frame.")
    expires: str | None = Field(description="RFC 3339; null if the pictures are open to everybody anyway.")


class LoginResponse(_Response):
    """The name of the token. The session itself is in the cookie that comes with the response."""

    name: str
    expires_in_s: int
