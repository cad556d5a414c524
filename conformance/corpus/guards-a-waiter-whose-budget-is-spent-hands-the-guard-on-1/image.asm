troth-assembly 1
; image 2fe26268f5226f621867747cd814c4f737a3ce123f0d904238f744621f075dd9
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
    yield
    yield
    yield
    yield
    release door
    halt

program w1() registers 8
    set r1 = 1
    set r1 = 1
    set r1 = 1
    set r1 = 1
    set r1 = 1
    set r1 = 1
    set r1 = 1
    set r1 = 1
    acquire door
    release door
    halt

program w2() registers 8
    yield
    acquire door
    release door
    halt
