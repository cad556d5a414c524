troth-assembly 1
; image dbc6c8be53e333eace59f88b43e75ac688b68eea589ebb38bd6c1945e56fd81c
entry main

guard door
guard window

program main() registers 8
    spawn r0 = w0()
    spawn r0 = w1()
    halt

program w0() registers 8
    acquire door
    acquire window
    yield
    release door
    release window
    halt

program w1() registers 8
    acquire window
    yield
    release window
    halt
