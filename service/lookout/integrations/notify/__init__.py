"""Notices: rules say which visits and faults are worth one, targets where it goes."""
