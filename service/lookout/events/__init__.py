"""What the camera saw, kept: events with a picture, their review, and what follows from them."""
