troth-assembly 1
; image d6662e12612d188404fc08082099455a5610595359af4795c091cfffe321c864
source "operators-bytes.troth"
entry main

program main() registers 4
    set r0 = b"x"
    set r3 = b"yz"
    op r2 = add(r0, r3)
    op r1 = len(r2)
    op r2 = print(r1)
    set r2 = b"x"
    op r1 = eq(r0, r2)
    op r2 = print(r1)
    halt
