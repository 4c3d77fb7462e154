"""Whether a service may listen where its settings say, for want of a token."""

from __future__ import annotations

import logging

from lookout.auth.names import is_loopback
from lookout.auth.tokens import TokenStore
from lookout.errors import SettingInvalid, StateFolderUnusable
from lookout.settings.schema import ServerSettings

log = logging.getLogger(__name__)


def refuse_open_door(settings: ServerSettings, *, has_token: bool) -> None:
    """Raise SettingInvalid if other machines would be admitted without a token, unless that is set explicitly."""
    if is_loopback(settings.host) or has_token:
        return
    if settings.auth == "none":
        log.warning("server.auth is none: everybody who can reach %s is admitted.", settings.host)
        return
    raise SettingInvalid(
        f"server.host {settings.host} can be reached from other machines, but there is no token.",
        "Make one with `lookout token`, or set server.auth to none to admit everybody.",
    )


def may_have_token(settings: ServerSettings, tokens: TokenStore) -> bool:
    """Whether there is a token, or there may be one in a file that cannot be read.

    With such a file the service runs, admits nobody and says so: a damaged file must not keep a camera's watch from
    starting. A token file that the settings name is a mistake in the settings: raises StateFolderUnusable.
    """
    try:
        return bool(tokens.tokens())
    except StateFolderUnusable as error:
        if settings.token_file is not None:
            raise
        log.warning("%s Nobody is admitted until it can be read. %s", error.detail, error.remedy)
        return True
