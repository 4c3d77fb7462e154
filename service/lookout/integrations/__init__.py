"""Programs people already use, such as MQTT: each watches the hub, is optional, and is imported only when on."""
