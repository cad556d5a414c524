troth-assembly 1
; image f5526345710a44d0caa45b320ad1e6befa0eb02f1777cbb3a418c6ed7ceb6281
source "trouble-timeout.troth"
entry main

; protocol 0e62cc83941f3cceb794b6af7f146f000f4defebae0a5a10d61b34cbbbbf25d9
protocol P(A, B)
  type A
    0: B ! one(n: int) -> 1
    1: B ! two(n: int) -> 2
    2: end
  type B
    0: A ? one(n: int) -> 1
    1: A ? two(n: int) -> 2
    2: end

program a(s: P.A) registers 2
  @6   set r1 = 1
       send r0 B!one(r1)
  @7   yield
  @8   yield
  @9   yield
  @10  yield
  @11  yield
  @12  yield
  @13  set r1 = 2
       send r0 B!two(r1)
  @14  close r0
       halt

program b(s: P.B) registers 3
  @17  recv r0 A?one(r1)
  @19  recv r0 A?two(r2)
  @20  close r0
       halt

program main() registers 3
    open P(r0, r1)
    spawn r2 = a(r0)
    spawn r2 = b(r1)
    halt
