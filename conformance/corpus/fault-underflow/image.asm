troth-assembly 1
; image eaf433b61f401a79c57d6d10bd43fc022000d32b186d4cf7a9c7dffe7b4de500
source "fault-underflow.troth"
entry main

program main() registers 3
    set r0 = -9223372036854775807
    set r2 = 1
    op r1 = sub(r0, r2)
    op r2 = print(r1)
    set r2 = 2
    op r1 = sub(r0, r2)
    op r2 = print(r1)
    halt
