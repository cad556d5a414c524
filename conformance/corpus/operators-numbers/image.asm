troth-assembly 1
; image 01565bd977d734ee8300d6fd0d2f378de68095fa8a42f394a821cb4cdbc73eaf
source "operators-numbers.troth"
entry main

program main() registers 7
    set r0 = 7
    set r1 = -2
    set r2 = 0.5
    set r3 = 0.0
    op r4 = div(r0, r1)
    op r5 = print(r4)
    op r4 = floordiv(r0, r1)
    op r5 = print(r4)
    op r4 = mod(r0, r1)
    op r5 = print(r4)
    op r4 = neg(r0)
    op r5 = print(r4)
    op r4 = neg(r2)
    op r5 = print(r4)
    op r4 = neg(r3)
    op r5 = print(r4)
    set r5 = 1.0
    op r4 = add(r2, r5)
    op r5 = print(r4)
    set r5 = 3.0
    op r4 = mul(r2, r5)
    op r5 = print(r4)
    set r5 = 4.0
    op r4 = div(r2, r5)
    op r5 = print(r4)
    set r5 = 7.5
    set r6 = 2.0
    op r4 = floordiv(r5, r6)
    op r5 = print(r4)
    set r5 = 7.5
    set r6 = 2.0
    op r4 = mod(r5, r6)
    op r5 = print(r4)
    op r4 = sub(r0, r1)
    op r5 = print(r4)
    op r4 = mul(r0, r1)
    op r5 = print(r4)
    halt
