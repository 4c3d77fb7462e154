"""Notices: rules select visits and faults, targets deliver them."""
