"""Connections to other programs, such as MQTT: each watches the hub, is optional, and is imported only if enabled."""
