"""News of events reach every reader; a slow one loses the oldest and holds up nobody."""

from __future__ import annotations

import threading

from lookout.events.event import Event
from lookout.events.feed import Feed, News


def _event(number: int) -> Event:
    return Event(id=number, kind="seen", started=0.0, ended=None, label="cat")


def test_every_reader_gets_what_begins_and_ends_in_order() -> None:
    feed = Feed()
    with feed.subscribe() as one, feed.subscribe() as other:
        feed.publish(News("begun", _event(1)))
        feed.publish(News("ended", _event(1)))
        assert [news.what for news in one.take()] == [news.what for news in other.take()] == ["begun", "ended"]
        assert one.take() == []


def test_a_slow_reader_loses_the_oldest_and_it_is_counted() -> None:
    feed = Feed()
    with feed.subscribe(most=3) as slow:
        for number in range(10):
            feed.publish(News("begun", _event(number)))
        assert [news.event.id for news in slow.take()] == [7, 8, 9]
        assert slow.lost == 7


def test_marks_are_news_only_for_readers_that_ask() -> None:
    feed = Feed()
    with feed.subscribe() as plain, feed.subscribe(changes=True) as all_of_it:
        feed.publish(News("changed", _event(1)))
        assert plain.take() == []
        assert len(all_of_it.take()) == 1


def test_closing_wakes_waiting_readers_and_ends_the_news() -> None:
    feed = Feed()
    subscription = feed.subscribe()
    took: list[list[News]] = []
    waiting = threading.Thread(target=lambda: took.append(subscription.take(30.0)))
    waiting.start()
    subscription.close()
    waiting.join(5.0)
    assert took == [[]]
    assert not feed.is_watched
    feed.publish(News("begun", _event(1)))
    assert subscription.take() == []
