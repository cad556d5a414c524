troth-assembly 1
; image 030baea37b2b50420fa56b88830b1af0d63abd04e9a89e4f40b2272f3821da33
source "fault-in-a-role.troth"
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

program b(s: P.B) registers 4
  @12  recv r0 A?one(r1)
  @13  set r2 = "no more"
       op r3 = fail(r2)

program main() registers 3
    open P(r0, r1)
    spawn r2 = a(r0)
    spawn r2 = b(r1)
    halt
