troth-assembly 1
; image b4358ef83116b3ef500fa67b912c5706994671f0db327972dee4c59b147d93b1
source "effect-arguments-at-the-limit.troth"
entry main

effect ask(text: str) -> int

program main() registers 2
    set r1 = "12345678"
    invoke r0 = ask(r1)
    op r1 = print(r0)
    halt
