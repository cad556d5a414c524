troth-assembly 1
; image e9e8198ab249cbcc4ea9d8966787f5c391a25d456ff60f4b4411e0cc14ee15b1
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
    yield
    yield
    yield
    release door
    halt

program w1() registers 8
    acquire door
    release door
    halt
