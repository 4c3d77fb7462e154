"""From a frame to a prediction to an answer: pure functions and small classes, no threads, no asyncio."""
