troth-assembly 1
; image 0e53f779aa1a226c437d39dc569853b46f0a0d0db8325cf7ffbe341d551e4126
source "fault-index-negative.troth"
entry main

program main() registers 5
    set r2 = 1
    set r3 = 2
    op r0 = list(r2, r3)
    set r1 = 0
    set r4 = 1
    op r3 = sub(r1, r4)
    op r2 = index(r0, r3)
    op r3 = print(r2)
    halt
