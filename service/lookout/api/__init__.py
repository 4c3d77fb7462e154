"""The service over HTTP: reads the hub, calls the engine, opens no camera and no session itself."""
