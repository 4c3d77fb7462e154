"""Announces this Lookout in the local network (mDNS, also known as Bonjour and Avahi) and finds others there."""

SERVICE_TYPE = "_lookout._tcp.local."
