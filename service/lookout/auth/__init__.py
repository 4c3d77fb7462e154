"""Who may come in: tokens, and the pages and hosts that requests may come from."""
