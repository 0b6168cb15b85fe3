"""What answers over HTTP: provider webhooks, the API, health and pages."""
