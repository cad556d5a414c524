troth-assembly 1
; image 13f10636fb57a75f68c5afce18fe70a356753c74b21f6ff7314aec7456391337
source "fault-not-finite.troth"
entry main

program main() registers 3
    set r0 = 1e+308
    set r2 = 10.0
    op r1 = mul(r0, r2)
    op r2 = print(r1)
    halt
