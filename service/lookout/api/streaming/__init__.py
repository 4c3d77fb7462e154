"""Streaming responses: their pace, their viewers, their pictures."""
