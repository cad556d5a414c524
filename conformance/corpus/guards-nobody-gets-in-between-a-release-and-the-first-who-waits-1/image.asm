troth-assembly 1
; image 0162ed9d7f6503dfe1d36714fcd0caaf2c9bdc7562a5b4cf7d887f099f60ecde
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
    yield
    release door
    acquire door
    release door
    halt

program w1() registers 8
    acquire door
    yield
    release door
    halt
