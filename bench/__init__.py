"""How fast Textwright is, held against the least that any server in its place must do."""
