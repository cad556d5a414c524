troth-assembly 1
; image 938d6e50b422d749a3eb720f69ae739e7c5812a2cc1e29955c0e6dcad9c186e7
entry main

guard door
guard window

program main() registers 8
    spawn r0 = w0()
    spawn r0 = w1()
    spawn r0 = w2()
    halt

program w0() registers 8
    acquire door
    acquire window
    yield
    yield
    set r1 = "down"
    op r7 = fail(r1)

program w1() registers 8
    yield
    acquire door
    release door
    halt

program w2() registers 8
    yield
    acquire window
    release window
    halt
