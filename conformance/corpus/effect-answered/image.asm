troth-assembly 1
; image 129e4e1896a6b55c915ff5377dc9fc07dd91f4403cacdcecee13c82618da11d9
source "effect-answered.troth"
entry main

effect ask(n: int) -> int

program main() registers 3
    set r1 = 20
    invoke r0 = ask(r1)
    set r2 = 1
    op r1 = add(r0, r2)
    op r2 = print(r1)
    halt
