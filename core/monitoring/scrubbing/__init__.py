"""The inside of the scrubber. `core.monitoring.rules` says what is redacted, `core.monitoring.scrubber` is the door."""
