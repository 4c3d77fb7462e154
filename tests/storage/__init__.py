"""The one writer: its budget, its deadlines, and power cuts at every write."""
