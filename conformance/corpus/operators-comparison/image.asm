troth-assembly 1
; image f561cd7c1b40e4446c855625cf6643d2e458b99d75d66b9ffb8bc1fc6b9f6f43
source "operators-comparison.troth"
entry main

program main() registers 9
    set r0 = 1
    set r1 = "b"
    set r2 = b"\x01"
    set r3 = true
    set r5 = 2
    op r4 = lt(r0, r5)
    op r5 = print(r4)
    set r5 = 1
    op r4 = le(r0, r5)
    op r5 = print(r4)
    set r5 = 1
    op r4 = gt(r0, r5)
    op r5 = print(r4)
    set r5 = 2
    op r4 = ge(r0, r5)
    op r5 = print(r4)
    set r5 = "c"
    op r4 = lt(r1, r5)
    op r5 = print(r4)
    set r5 = "ba"
    op r4 = ge(r1, r5)
    op r5 = print(r4)
    set r5 = b"\x02"
    op r4 = lt(r2, r5)
    op r5 = print(r4)
    op r4 = not(r3)
    op r5 = print(r4)
    set r5 = 1
    op r4 = eq(r0, r5)
    op r5 = print(r4)
    set r6 = 1
    set r7 = 2
    op r5 = list(r6, r7)
    set r7 = 1
    set r8 = 2
    op r6 = list(r7, r8)
    op r4 = eq(r5, r6)
    op r5 = print(r4)
    set r6 = 1
    op r5 = record(r6) names a
    set r7 = 1
    op r6 = record(r7) names a
    op r4 = ne(r5, r6)
    op r5 = print(r4)
    set r5 = 0.5
    set r6 = 0.25
    op r4 = gt(r5, r6)
    op r5 = print(r4)
    halt
