"""Settings: what there is to set, where each value comes from, and which are in force."""
