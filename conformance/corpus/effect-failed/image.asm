troth-assembly 1
; image 7568920baf887a9a5b6f175383ff422012f6ec3c4c88e03938ddb02bc21ecf63
source "effect-failed.troth"
entry main

effect ask(n: int) -> int

program main() registers 3
    set r1 = 20
    invoke r0 = ask(r1)
    set r2 = 1
    op r1 = add(r0, r2)
    op r2 = print(r1)
    halt
