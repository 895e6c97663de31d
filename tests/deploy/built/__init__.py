"""What is in deploy/, held against Helm, the API server's own checks, Compose's reader and Envoy's types, each built from its Go module."""
