"""HTTP: the server, what every request and answer goes through, and the pages."""
