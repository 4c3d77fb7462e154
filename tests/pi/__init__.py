"""The Pi camera against the real picamera2."""
