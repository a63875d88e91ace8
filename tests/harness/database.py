"""One test's database: its name, how to reach it, and an open connection."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from .servers import Postgres


@dataclass
class Database:
    """conn is an autocommit connection; connect() opens another one."""

    server: Postgres
    name: str
    conn: psycopg.Connection

    @classmethod
    def create(cls, server: Postgres, schema: bool = True, encoding: str = "UTF8") -> Database:
        name = server.create_database(schema, encoding)
        return cls(server, name, server.connect(name))

    @property
    def dsn(self) -> str:
        return self.server.dsn(self.name)

    def connect(self, **options: object) -> psycopg.Connection:
        return self.server.connect(self.name, **options)

    def reconnect(self) -> None:
        """After the server was restarted."""
        self.conn.close()
        self.conn = self.connect()

    def drop(self) -> None:
        self.conn.close()
        if self.server.running:
            self.server.drop_database(self.name)

    def query(self, sql: str, params: object = None) -> list[tuple]:
        """The rows of a query."""
        return self.conn.execute(sql, params).fetchall()  # type: ignore[arg-type]

    def value(self, sql: str, params: object = None) -> object:
        """The first column of the first row."""
        return self.query(sql, params)[0][0]
