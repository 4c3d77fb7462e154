"""Fixtures of the running service, as the tests of the API have them."""

from tests.api.conftest import models, start

__all__ = ["models", "start"]
