"""A wire to the database that can be cut between a command and the news of its success."""

from __future__ import annotations

import contextlib
import socket
import threading

from sqlalchemy import URL


class Wire:
    """Relays TCP to the server of `url`; `self.url` leads through it. Close it when done."""

    def __init__(self, url: URL) -> None:
        self._server = (url.host or "127.0.0.1", url.port or 5432)
        self._door = socket.create_server(("127.0.0.1", 0))
        port = self._door.getsockname()[1]
        plain = {**url.query, "sslmode": "disable", "gssencmode": "disable"}
        self.url = url.set(host="127.0.0.1", port=port, query=plain)
        self._fatal: bytes | None = None
        self._lines: list[_Line] = []
        threading.Thread(target=self._open, daemon=True).start()

    def lose_answer_to(self, command: bytes) -> None:
        """Let the next command with these bytes reach the server, and cut the wire when the server answers it."""
        self._fatal = command

    def cut(self) -> None:
        """Cut every connection that there is; new ones can be made."""
        while self._lines:
            self._lines.pop().cut()

    def close(self) -> None:
        self._door.close()

    def _open(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._door.accept()[0]
                self._lines.append(_Line(self, client, socket.create_connection(self._server)))

    def is_fatal(self, sent: bytes) -> bool:
        """Return whether these bytes hold the command whose response is to be lost; it is so once."""
        if self._fatal is None or self._fatal not in sent:
            return False
        self._fatal = None
        return True


class _Line:
    """One connection through a wire."""

    def __init__(self, wire: Wire, client: socket.socket, server: socket.socket) -> None:
        self._wire, self._client, self._server = wire, client, server
        self._doomed = False
        for pump in (self._upwards, self._downwards):
            threading.Thread(target=pump, daemon=True).start()

    def _upwards(self) -> None:
        with contextlib.suppress(OSError):
            while sent := self._client.recv(65536):
                self._doomed = self._doomed or self._wire.is_fatal(sent)
                self._server.sendall(sent)
        self.cut()

    def _downwards(self) -> None:
        with contextlib.suppress(OSError):
            while (response := self._server.recv(65536)) and not self._doomed:
                self._client.sendall(response)
        self.cut()

    def cut(self) -> None:
        for end in (self._client, self._server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
