troth-assembly 1
; image d194a1dfb46cb686c5cc3fe1172d2ebb45b962fa98c10666743073d5151edc57
source "operators-text.troth"
entry main

program main() registers 6
    set r2 = 1
    set r3 = 2
    op r1 = list(r2, r3)
    op r2 = print(r1)
    set r2 = 1
    set r3 = "x"
    op r1 = record(r3, r2) names a, b
    op r2 = print(r1)
    set r1 = b"\x00z"
    op r2 = print(r1)
    set r2 = "a\nb"
    op r1 = list(r2)
    op r2 = print(r1)
    set r1 = 1e+16
    op r2 = print(r1)
    set r1 = 0.1
    op r2 = print(r1)
    set r3 = 3
    op r2 = str(r3)
    set r3 = "!"
    op r1 = add(r2, r3)
    op r2 = print(r1)
    set r2 = "äöü"
    op r1 = len(r2)
    op r2 = print(r1)
    set r3 = 1
    set r4 = 2
    set r5 = 3
    op r2 = list(r3, r4, r5)
    op r1 = len(r2)
    op r2 = print(r1)
    set r2 = b"ab"
    op r1 = len(r2)
    op r2 = print(r1)
    set r1 = true
    op r2 = print(r1)
    set r1 = ()
    op r2 = print(r1)
    set r2 = 1
    set r3 = 2
    op r1 = list(r2, r3)
    set r2 = 2
    op r0 = record(r1, r2) names a, b
    op r2 = field(r0) names a
    set r3 = 1
    op r1 = index(r2, r3)
    op r2 = print(r1)
    set r2 = "abc"
    set r3 = 1
    op r1 = index(r2, r3)
    op r2 = print(r1)
    set r2 = b"abc"
    set r3 = 0
    op r1 = index(r2, r3)
    op r2 = print(r1)
    halt
