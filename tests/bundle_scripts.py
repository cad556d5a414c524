"""Scripts with bundles, for tests of the machine and of both verifiers."""

from __future__ import annotations

from typing import Final

DESKTOP: Final = """
protocol Video(Source, Screen):
    edge Source -> Screen: replay = nullifier, buffer = latest, capacity = 2
    rec More:
        choice at Source:
            Source -> Screen: frame(n: int) lossy
            continue More
        or:
            Source -> Screen: over()

protocol Keys(User, Machine):
    loop at User:
        User -> Machine: key(code: int)
    Machine -> User: seen(count: int)

bundle Desktop(Host, Client):
    video: Video(Host, Client)
    keys: Keys(Client, Host)

program show(v: Video.Source):
    for n in range(6):
        send v.Screen frame(n)
    send v.Screen over()
    close v

program host(d: Desktop.Host):
    spawn show(d.video)
    let count = 0
    loop:
        recv d.keys.User:
            key(code):
                count = count + code
            done():
                break
    send d.keys.User seen(count)
    close d

program watch(v: Video.Screen):
    let frames = 0
    loop:
        recv v.Source:
            frame(n):
                frames = frames + 1
            over():
                break
    print "video is over"
    close v

program client(d: Desktop.Client):
    spawn watch(d.video)
    for code in range(5):
        send d.keys.Machine key(code)
    send d.keys.Machine done()
    recv d.keys.Machine seen(count)
    print count
    close d

main:
    open Desktop as h, c
    spawn host(h)
    spawn client(c)
"""
"""Two directions at once; one of them may lose messages."""

TRIANGLE: Final = """
protocol Talk(Left, Right):
    Left -> Right: word(n: int)
    Right -> Left: answer(n: int)

bundle Triangle(A, B, C):
    ab: Talk(A, B)
    bc: Talk(B, C)
    ca: Talk(C, A)

program ask(s: Talk.Left, n: int):
    send s.Right word(n)
    recv s.Right answer(m)
    print m
    close s

program reply(s: Talk.Right):
    recv s.Left word(n)
    send s.Left answer(n * n)
    close s

program a(t: Triangle.A):
    spawn ask(t.ab, 2)
    spawn reply(t.ca)
    close t

program b(t: Triangle.B):
    spawn ask(t.bc, 3)
    spawn reply(t.ab)

program c(t: Triangle.C):
    spawn ask(t.ca, 4)
    spawn reply(t.bc)

main:
    open Triangle as a_end, b_end, c_end
    spawn a(a_end)
    spawn b(b_end)
    spawn c(c_end)
"""
"""Every role plays in two of three sessions."""


def leaving(how: str) -> str:
    """`DESKTOP`, whose client leaves through one session in the middle of another."""
    return DESKTOP.replace(
        """    send d.keys.Machine done()
    recv d.keys.Machine seen(count)
    print count
    close d
""",
        f"    {how}\n",
    )
