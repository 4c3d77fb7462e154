"""What every request passes through: access, size limits, HEAD."""
