"""The page that a notice links to: it shows the visit, silences the rule for an hour, or corrects the label.

It needs no login. A GET changes nothing, because messengers fetch every URL that is sent through them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qs

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from lookout.api.context import Services, ServicesDep
from lookout.api.middleware.access import LINK
from lookout.api.notice_page import Language, Sight, done_page, language_of, refusal_page, title_of, visit_page
from lookout.api.problems import NotFound
from lookout.api.routes.events import reading
from lookout.api.routes.frames import JpegResponse
from lookout.errors import LookoutError, RequestInvalid
from lookout.events.errors import NoPicture, UnknownEvent

if TYPE_CHECKING:
    from lookout.integrations.notify.integration import Notify
    from lookout.integrations.notify.links import Link

router = APIRouter(include_in_schema=False)

QUIET_S = 3600.0
_MAX_FORM_FIELDS = 8
# With the service's usual no-referrer, a browser would send the form with the origin "null", which is refused.
_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "same-origin"}


@router.get("/notice")
async def show(request: Request, app: ServicesDep) -> Response:
    """The page with the visit and the actions."""
    language = language_of(request.headers)
    try:
        text = request.query_params.get(LINK, "")
        return _html(visit_page(await _sight(app, text), text, language))
    except LookoutError as error:
        return _html(refusal_page(error, language), error.status)


@router.get("/notice/picture.jpg")
async def picture(request: Request, app: ServicesDep) -> Response:
    """The best frame of the visit, while the link is valid."""
    event = _notify(app).open_link(request.query_params.get(LINK, "")).event
    if event is None:
        raise NoPicture("This notice has no picture.", "Open the dashboard.")
    data = await reading(app, lambda: app.history.store.picture(event, "jpg"))
    return JpegResponse(data, headers={"Cache-Control": "no-store"})


@router.post("/notice")
async def act(request: Request, app: ServicesDep) -> Response:
    """Silence the rule for an hour or set the label; each works once per link."""
    language = language_of(request.headers)
    try:
        form = _form(await request.body())
        notify = _notify(app)
        link = notify.open_link(form.get(LINK, ""))
        if "quiet" in form:
            await app.edits.run(lambda: notify.use_link(link, "quiet", lambda: notify.snooze(link.rule, QUIET_S)))
            return _html(done_page("quiet", link.rule, language))
        right = await _mark(app, notify, link, form.get("right", ""), language)
        return _html(done_page("right", right, language))
    except LookoutError as error:
        return _html(refusal_page(error, language), error.status)


async def _sight(app: Services, text: str) -> Sight:
    """Return what the page shows. Raises LookoutError."""
    link = _notify(app).open_link(text)
    state = app.hub.latest()
    labels = state.model.labels if state.model else ()
    titles = state.model.titles if state.model else {}
    event = None
    if (number := link.event) is not None:
        try:
            event = await reading(app, lambda: app.history.store.get(number))
        except UnknownEvent:  # deleted since; the rule can still be silenced
            event = None
    return Sight(link.rule, event, [(label, titles.get(label, label)) for label in labels])


async def _mark(app: Services, notify: Notify, link: Link, right: str, language: Language) -> str:
    """Mark the event with the label and return the label's title. Raises LookoutError."""
    state, number = app.hub.latest(), link.event
    if number is None or state.model is None or right not in state.model.labels:
        raise RequestInvalid("That is not one of the labels.", "Choose one from the list.")

    def mark() -> object:
        return app.history.mark([number], {"right": right}, one=True)

    await app.edits.run(lambda: notify.use_link(link, "right", mark))
    return title_of(right, state.model.titles.get(right, right), language)


def _form(body: bytes) -> dict[str, str]:
    """Return the last value of each field. Raises RequestInvalid."""
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FORM_FIELDS)
    except ValueError:
        raise RequestInvalid("This is not a form.", "Use the buttons of the page.") from None
    return {name: values[-1] for name, values in fields.items()}


def _notify(app: Services) -> Notify:
    """Return the integration. Raises NotFound if notices are off."""
    found = app.integrations.find("notify")
    if found is None:
        raise NotFound("There are no notices here.", "They are off now; the settings file switches them on.")
    return cast("Notify", found)


def _html(text: str, status: int = 200) -> Response:
    return HTMLResponse(text, status, _HEADERS)
