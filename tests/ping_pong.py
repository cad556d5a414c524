"""A script of two roles that say the same to each other many times."""

from __future__ import annotations

from typing import Final

_SCRIPT: Final = """
protocol Play(Left, Right):
    loop at Left:
        Left -> Right: ping(n: int)
        Right -> Left: pong(n: int)

program left(s: Play.Left, turns: int):
    let sum = 0
    for n in range(turns):
        send s.Right ping(n)
        recv s.Right pong(m)
        sum = sum + m
    send s.Right done()
    print sum
    close s

program right(s: Play.Right):
    loop:
        recv s.Left:
            ping(n):
                send s.Left pong(n + n)
            done():
                break
    close s

main:
    open Play as a, bSETTINGS
    spawn left(a, TURNS)
    spawn right(b)
"""


def ping_pong(turns: int, settings: str = "") -> str:
    """The script; `settings` is the `with` part of its `open`."""
    return _SCRIPT.replace("TURNS", str(turns)).replace("SETTINGS", settings and f" {settings}")
