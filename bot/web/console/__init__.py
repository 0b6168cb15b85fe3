"""The staff console: pages that the server renders, and forms that are calls of the API."""
