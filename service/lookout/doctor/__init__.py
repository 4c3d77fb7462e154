"""What is known to go wrong on a Pi with a camera, how to detect it, and the one thing that helps."""
