troth-assembly 1
; image 12967187663f0b750650d8653b6fb3e2e8041c1ed96ac4d9f7ec188460c55ce7
entry main

program main() registers 8
    spawn r1 = child()
    spawn r1 = child()
    spawn r1 = child()
    halt

program child() registers 8
    yield
    yield
    yield
    halt
