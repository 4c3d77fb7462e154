"""MQTT, and through it Home Assistant: the newest value of each topic, events, and commands if they are allowed."""
