troth-assembly 1
; image 5b15575b62d86f283b11115ea31f6912c8f341f23cb4882907ae2e7888673db4
source "effect-arguments-past-the-limit.troth"
entry main

effect ask(text: str) -> int

program main() registers 2
    set r1 = "123456789"
    invoke r0 = ask(r1)
    op r1 = print(r0)
    halt
