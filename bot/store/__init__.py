"""The store: SQLite or PostgreSQL behind one interface. Only this package imports a database driver."""
