troth-assembly 1
; image f7a07933c2b67774d485f8bbf3c50476d07f4702ff1d4570e456e3fd0b139f71
entry main

guard door
guard window

program main() registers 8
    spawn r0 = w0()
    spawn r0 = w1()
    halt

program w0() registers 8
    acquire door
    yield
    acquire window
    release window
    release door
    halt

program w1() registers 8
    acquire window
    yield
    acquire door
    release door
    release window
    halt
