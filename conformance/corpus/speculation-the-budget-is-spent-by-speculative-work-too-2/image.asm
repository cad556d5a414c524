troth-assembly 1
; image 2b3e8d4c110b47c8947601d4cae86e6e00f47be781a2ea92b127f15cf97d9c81
entry main

program main() registers 8
    fork L3
    set r1 = 1
    abort
L3:
    set r1 = 2
    halt
