"""This Lookout announced in the local network (mDNS, also called Bonjour and Avahi), and the others found there."""

SERVICE_TYPE = "_lookout._tcp.local."
