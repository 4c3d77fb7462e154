"""Tests of Lookout. They mirror `service/`; what one of them needs from the machine it says with `tests.requires`."""
