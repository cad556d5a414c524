troth-assembly 1
; image dcaf24ecba6b03d55a21e557c5781ee7d30832aff53ecf2e4e63a585564f06b0
source "fault-fail.troth"
entry main

program main() registers 2
    set r0 = "enough"
    op r1 = fail(r0)
