"""The page that the address in a notice opens: plain HTML without a script, in English or Traditional Chinese."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from lookout.errors import LookoutError
from lookout.events.event import Event

Language = Literal["en", "zh-Hant"]

_PAGE = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><title>Lookout</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="static/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="static/style.css">
<link rel="stylesheet" href="static/login.css"></head>
<body class="login"><main class="login-card">{body}</main></body></html>
"""
_TEXTS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "device": "A notice of this Lookout",
        "gone": "The visit is not in the diary any more.",
        "hour": "No notices of “{}” for an hour",
        "other": "What was it?",
        "say": "It was this",
        "quiet": "There are no notices of “{}” for an hour.",
        "right": "Noted: {}.",
        "link_expired": "This link is not valid any more. Open the event on the dashboard.",
        "link_used": "This was done with this link already.",
        "dashboard": "Dashboard",
    },
    "zh-Hant": {
        "device": "這台 Lookout 的通知",
        "gone": "這次來訪已不在日記中。",
        "hour": "「{}」一小時內不再通知",
        "other": "那是什麼？",
        "say": "就是這個",
        "quiet": "一小時內不會再有「{}」的通知。",
        "right": "已記下：{}。",
        "link_expired": "這個連結已失效，請在儀表板上開啟這個事件。",
        "link_used": "這個連結已經用過了。",
        "dashboard": "儀表板",
    },
}
# Of the labels that ship; a model's own titles are in its author's language.
_TITLES: Mapping[Language, Mapping[str, str]] = {"en": {}, "zh-Hant": {"cat": "貓", "dog": "狗", "neither": "都不是"}}


@dataclass(frozen=True, slots=True)
class Sight:
    """What the page shows. event: None if the notice is about the device, or the event was deleted.

    labels: pairs of a label and its title.
    """

    rule: str
    event: Event | None
    labels: list[tuple[str, str]]


def language_of(headers: Mapping[str, str]) -> Language:
    return "zh-Hant" if headers.get("accept-language", "").lower().startswith("zh") else "en"


def visit_page(sight: Sight, link: str, language: Language) -> str:
    """Return the page for a notice. link: the link's text, which the forms send back."""
    texts, event = _TEXTS[language], sight.event
    hidden = f'<input type="hidden" name="link" value="{_safe(link)}">'
    parts = [_brand()]
    if event is None:
        parts.append(f"<h1>{texts['device']}</h1>")
    else:
        labels = [(label, title_of(label, title, language)) for label, title in sight.labels]
        called = event.called or ""
        when = datetime.fromtimestamp(event.started).astimezone().strftime("%Y-%m-%d %H:%M")
        sure = "" if event.probability is None else f" · {_percent(event.probability)}"
        parts.append(f"<h1>{_safe(dict(labels).get(called, called))}</h1><p>{when}{sure}</p>")
        if event.picture:
            parts.append(f'<p><img src="notice/picture.jpg?link={_safe(link)}" alt="" width="320"></p>')
        options = "".join(
            f'<option value="{_safe(label)}"{" selected" if label == called else ""}>{_safe(title)}</option>'
            for label, title in labels
        )
        if options:
            parts.append(
                f'<form class="login-form" method="post" action="notice">{hidden}<label for="right">{texts["other"]}'
                f'</label><select id="right" name="right">{options}</select>'
                f'<button class="button" type="submit">{texts["say"]}</button></form>'
            )
    quiet = texts["hour"].format(_safe(sight.rule))
    parts.append(
        f'<form class="login-form" method="post" action="notice">{hidden}'
        f'<button class="button main" type="submit" name="quiet" value="1">{quiet}</button></form>'
    )
    return _page("".join(parts), language)


def done_page(what: Literal["quiet", "right"], name: str, language: Language) -> str:
    """Return the page that confirms an action. name: the rule's name or the label's title."""
    return _page(f"{_brand()}<h1>{_TEXTS[language][what].format(_safe(name))}</h1>{_home(language)}", language)


def title_of(label: str, title: str, language: Language) -> str:
    """title: the model's."""
    return _TITLES[language].get(label, title)


def refusal_page(error: LookoutError, language: Language) -> str:
    said = _TEXTS[language].get(error.code) or f"{error.detail} {error.remedy}"
    return _page(f"{_brand()}<h1>{_safe(said)}</h1>{_home(language)}", language)


def _percent(probability: float) -> str:
    """Never 100% unless it is."""
    return f"{min(round(probability * 100), 100 if probability == 1 else 99)}%"


def _brand() -> str:
    return '<p class="brand"><img class="icon" src="static/icon.svg" alt="" width="26" height="26"> Lookout</p>'


def _home(language: Language) -> str:
    return f'<p><a href="./">{_TEXTS[language]["dashboard"]}</a></p>'


def _page(body: str, language: Language) -> str:
    return _PAGE.format(language=language, body=body)


def _safe(text: str) -> str:
    return html.escape(text)
