"""The page shown when the dashboard is opened under a name that Lookout does not know: why, and what helps."""

from __future__ import annotations

import html
import ipaddress
import json

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse
from starlette.types import Scope

from lookout.auth.names import UnknownName

# No style sheet and no script: those would be requested under the same name, and refused.
_PAGE = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><title>Lookout</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"></head>
<body><main><h1>{title}</h1><p>{why}</p><p>{remedy}</p><pre>[server]
allowed_hosts = [{entry}]</pre><p>{more}</p></main></body></html>
"""
_ENGLISH = {
    "language": "en",
    "title": "Lookout does not know this name",
    "why": "This page was opened as <b>{name}</b>. Lookout answers only to names it knows, so that another site "
    "cannot pass itself off as this one.",
    "remedy": "Open it by its IP address instead{link}, or add the name to its settings and start it again:",
    "link": ', such as <a href="{address}">{address}</a>',
    "more": "In a container: <code>LOOKOUT_SERVER__ALLOWED_HOSTS='[{entry}]'</code>.",
}
_CHINESE = {
    "language": "zh-Hant",
    "title": "Lookout 不認得這個名稱",
    "why": "您以 <b>{name}</b> 開啟此頁。Lookout 只回應它認得的名稱，以免其他網站冒充它。",
    "remedy": "請改用 IP 位址開啟{link}，或把這個名稱加入設定檔並重新啟動 Lookout：",
    "link": "，例如 <a href=\"{address}\">{address}</a>",
    "more": "在容器中：<code>LOOKOUT_SERVER__ALLOWED_HOSTS='[{entry}]'</code>。",
}  # fmt: skip


def wants_page(scope: Scope) -> bool:
    """Return whether the client is a person with a browser."""
    return scope["method"] in ("GET", "HEAD") and "text/html" in Headers(scope=scope).get("accept", "")


def name_page(error: UnknownName, scope: Scope) -> HTMLResponse:
    """Return the page, with the error's status: in Chinese if the browser prefers it, otherwise in English."""
    words = _CHINESE if Headers(scope=scope).get("accept-language", "").lower().startswith("zh") else _ENGLISH
    entry = html.escape(json.dumps(error.name, ensure_ascii=False), quote=False)
    address = _address(scope)
    link = words["link"].format(address=html.escape(address)) if address else ""
    text = _PAGE.format(
        language=words["language"],
        title=words["title"],
        why=words["why"].format(name=html.escape(error.name)),
        remedy=words["remedy"].format(link=link),
        entry=entry,
        more=words["more"].format(entry=entry),
    )
    return HTMLResponse(text, error.status, {"Cache-Control": "no-store"})


def _address(scope: Scope) -> str:
    """Return the URL with the IP address at which the browser reached this machine; empty behind a proxy on it."""
    host, port = scope.get("server") or ("", None)
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return ""
    if found.is_loopback or port is None:
        return ""
    shown = f"[{found}]" if found.version == 6 else str(found)
    return f"{scope['scheme']}://{shown}:{port}{scope.get('root_path', '')}/"
