"""The worker that turns the newest frame into an answer, its recovery, and the commands that control it."""
