troth-assembly 1
; image 0e5fd1df6d57f4ba7a714ed9473e6f2285ec5fb51b400cd7249eaf683a2ed7d5
source "trouble-corrupt.troth"
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
  @6  set r1 = 1
      send r0 B!one(r1)
  @8  set r1 = 2
      send r0 B!two(r1)
  @9  close r0
      halt

program b(s: P.B) registers 3
  @12  recv r0 A?one(r1)
  @13  yield
  @14  yield
  @15  yield
  @16  yield
  @17  yield
  @18  yield
  @19  recv r0 A?two(r2)
  @20  close r0
       halt

program main() registers 3
    open P(r0, r1)
    spawn r2 = a(r0)
    spawn r2 = b(r1)
    halt
