"""What every edge does with a request before it knows what it is about: address, body, credentials, errors."""
