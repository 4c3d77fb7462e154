"""Settings: their definitions, where each value comes from, and which values are in force."""
