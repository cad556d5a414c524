troth-assembly 1
; image a58b44aab9ec24fdd0cfba85854c09c04fdc42a4f93043dd9105380920913cd8
source "fault-index.troth"
entry main

program main() registers 3
    set r1 = 1
    set r2 = 2
    op r0 = list(r1, r2)
    set r2 = 2
    op r1 = index(r0, r2)
    op r2 = print(r1)
    halt
