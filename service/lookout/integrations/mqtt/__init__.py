"""MQTT, and with it Home Assistant: the newest value of each topic, events, and commands where they are allowed."""
