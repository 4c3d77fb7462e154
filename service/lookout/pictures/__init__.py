"""Still pictures: reading their headers, and decoding them to upright BGR pixels."""
