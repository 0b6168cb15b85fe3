"""What to answer: rule files in, decisions out. Pure: no database, network or clock, and the only user of `durable`."""
