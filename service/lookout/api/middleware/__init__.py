"""What every request passes through: access control, size limits, HEAD."""
