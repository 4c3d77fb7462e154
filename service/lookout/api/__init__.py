"""The service over HTTP: reads the hub, calls the engine's verbs, touches no camera and no session."""
