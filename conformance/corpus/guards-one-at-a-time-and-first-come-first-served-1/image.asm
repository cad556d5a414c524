troth-assembly 1
; image e47a9ad5c5c69474364529d2281621058aa1f6db227b5e4e528e27e9559dbfa2
entry main

guard door
guard window

program main() registers 8
    spawn r0 = w0()
    spawn r0 = w1()
    spawn r0 = w2()
    spawn r0 = w3()
    halt

program w0() registers 8
    acquire door
    yield
    yield
    yield
    release door
    acquire door
    yield
    yield
    yield
    release door
    halt

program w1() registers 8
    acquire door
    yield
    yield
    yield
    release door
    acquire door
    yield
    yield
    yield
    release door
    halt

program w2() registers 8
    acquire door
    yield
    yield
    yield
    release door
    acquire door
    yield
    yield
    yield
    release door
    halt

program w3() registers 8
    acquire door
    yield
    yield
    yield
    release door
    acquire door
    yield
    yield
    yield
    release door
    halt
