"""The service: HTTP, pipeline, outbox, staff, API and commands, on top of `adapters` and `rules`."""
