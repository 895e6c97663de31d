"""What was taken back of tokens: the feed of a realm, and verifiers that follow it."""
