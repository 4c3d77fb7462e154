"""Looking inside a network: layers with their arithmetic, first filters, feature maps."""
