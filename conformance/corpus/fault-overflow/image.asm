troth-assembly 1
; image dce9e4246624acf42558780cbf7ca4f4f8e8cfcc97900fc35dd36fc8e967fbdc
source "fault-overflow.troth"
entry main

program main() registers 3
    set r0 = 9223372036854775807
    set r2 = 1
    op r1 = add(r0, r2)
    op r2 = print(r1)
    halt
