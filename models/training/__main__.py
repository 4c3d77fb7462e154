"""Entry point of ``python -m models.training``."""

from models.training.cli import app

app(prog_name="python -m models.training")
