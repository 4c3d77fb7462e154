"""Access control: tokens, their scopes, and the origins and host names that requests may have."""
