"""Who is admitted: tokens, and the pages and hosts that requests may come from."""
