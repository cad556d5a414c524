troth-assembly 1
; image 57a56bbc9022e9d5d86cd5dff7bf87cc5e0e3c04db43989068683dd7420bd562
entry main

program main() registers 8
    set r1 = 0
    fork L8
    set r1 = 1
    fork L6
    set r1 = 2
    join
L6:
    abort
    halt
L8:
    op r7 = print(r1)
    halt
