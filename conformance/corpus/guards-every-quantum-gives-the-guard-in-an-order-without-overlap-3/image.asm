troth-assembly 1
; image 99b03673f5c7977f82a2007a79f3b2eeba5f5b1db8683c6e89311dbb7e6ce9eb
entry main

guard door
guard window

program main() registers 8
    spawn r0 = w0()
    spawn r0 = w1()
    spawn r0 = w2()
    spawn r0 = w3()
    spawn r0 = w4()
    halt

program w0() registers 8
    acquire door
    set r1 = 1
    op r1 = add(r1, r1)
    yield
    release door
    halt

program w1() registers 8
    acquire door
    set r1 = 1
    op r1 = add(r1, r1)
    yield
    release door
    halt

program w2() registers 8
    acquire door
    set r1 = 1
    op r1 = add(r1, r1)
    yield
    release door
    halt

program w3() registers 8
    acquire door
    set r1 = 1
    op r1 = add(r1, r1)
    yield
    release door
    halt

program w4() registers 8
    acquire door
    set r1 = 1
    op r1 = add(r1, r1)
    yield
    release door
    halt
