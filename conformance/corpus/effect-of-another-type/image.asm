troth-assembly 1
; image fc19b221a03191a1c02f66951a2e113ae93125294fcc704254f74041d9e6d115
source "effect-of-another-type.troth"
entry main

effect ask(n: int) -> int

program main() registers 3
    set r1 = 20
    invoke r0 = ask(r1)
    set r2 = 1
    op r1 = add(r0, r2)
    op r2 = print(r1)
    halt
