"""Empty PostgreSQL databases for tests."""

from testdatabases.databases import Databases

__all__ = ["Databases"]
