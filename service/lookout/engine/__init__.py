"""The worker that turns the newest frame into an answer, its recovery, and the verbs that steer it."""
