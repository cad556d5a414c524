troth-assembly 1
; image 34e4c72b16045228a20d2240a228ce10dc03ab6592d704f9f40e2ac7d1388021
source "effect-asked-twice.troth"
entry main

effect ask(n: int) -> int

program other(n: int) registers 3
  @4  invoke r1 = ask(r0)
  @5  op r2 = print(r1)
      halt

program main() registers 5
    set r2 = 1
    spawn r3 = other(r2)
    set r2 = 2
    invoke r0 = ask(r2)
    set r2 = 3
    invoke r1 = ask(r2)
    set r4 = 100
    op r3 = mul(r0, r4)
    op r2 = add(r3, r1)
    op r3 = print(r2)
    halt
