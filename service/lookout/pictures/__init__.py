"""Still pictures: what their headers say, and decoding them to upright BGR pixels."""
