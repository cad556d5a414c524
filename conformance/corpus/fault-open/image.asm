troth-assembly 1
; image 141aad9f38d8ad7dc8f269e76811244b8c9fbe4dd8b696d94e9f92301eeb2f83
source "fault-open.troth"
entry main

; protocol 714d54375475b0ceace91aee3c5f4c456c3608ddc5806e41ecc69f62e5453187
protocol P(A, B)
  edge A -> B: replay = nullifier
  type A
    0: B ! done() -> 1
     | frame(n: int) lossy -> 0
    1: end
  type B
    0: A ? done() -> 1
     | frame(n: int) lossy -> 0
    1: end

program a(s: P.A) registers 2
  @7  set r1 = 1
      select r0 B!frame(r1)
  @8  select r0 B!done()
  @9  close r0
      halt

program b(s: P.B) registers 2
L0:
  @13  branch r0 A? done() -> L2
          | frame(r1) -> L1
L1:
  @15  jump L3
L2:
  @17  jump L4
L3:
       jump L0
L4:
  @18  close r0
       halt

program main() registers 3
    open P(r0, r1)
    spawn r2 = a(r0)
    spawn r2 = b(r1)
    halt
