"""`troth` behind a wall: `python walled_troth.py WALL PORT ARGUMENT…`, for tests.

While the file WALL is there, this process's socket for media sends nothing but what goes to PORT.
Nothing else is changed, so whatever notices it has noticed it in the network.
"""

from __future__ import annotations

import sys
from pathlib import Path

from troth.conformance.shell_main import main
from troth.streaming.paths.addresses import Address
from troth.streaming.paths.shell_media_socket import MediaSocket


def build(wall: Path, port: int) -> None:
    send_to = MediaSocket.send_to

    def walled(self: MediaSocket, data: bytes, address: Address) -> None:
        if address[1] == port or not wall.exists():
            send_to(self, data, address)

    MediaSocket.send_to = walled  # type: ignore[method-assign] # a wall is built in a socket's way


if __name__ == "__main__":
    build(Path(sys.argv[1]), int(sys.argv[2]))
    sys.exit(main(sys.argv[3:]))
