troth-assembly 1
; image 7872bd77963acbb695339041f0b2f1259420b0be2e03917c0be041bc76527f51
source "fault-division.troth"
entry main

program main() registers 4
    set r0 = 3
    set r2 = 1
    op r3 = sub(r0, r0)
    op r1 = floordiv(r2, r3)
    op r2 = print(r1)
    halt
