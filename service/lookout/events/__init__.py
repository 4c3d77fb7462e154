"""The diary: events with a picture, their review, and everything derived from them."""
