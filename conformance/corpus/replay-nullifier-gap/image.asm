troth-assembly 1
; image c73430f34e802a406c36c9a7425b42edc39e035b01649e58ffc441a21855a482
source "count.troth"
entry main

; protocol 4f28c4f1e4ac8cc8d5e0da45459d528f8cf07f6bfb8554537fbdd67c771a392d
protocol Count(A, B)
  edge A -> B: replay = nullifier
  type A
    0: B ! stop() -> 1
     | tick(n: int) -> 0
    1: end
  type B
    0: A ? stop() -> 1
     | tick(n: int) -> 0
    1: end

program a(s: Count.A) registers 6
  @11  set r2 = 0
       set r3 = 5
       set r5 = 1
L3:
       op r4 = ge(r2, r3)
       jump_if r4 L9
       move r1 = r2
  @12  select r0 B!tick(r1)
  @11  op r2 = add(r2, r5)
       jump L3
L9:
  @13  select r0 B!stop()
  @14  close r0
       halt

program b(s: Count.B) registers 3
L0:
  @18  branch r0 A? stop() -> L3
          | tick(r1) -> L1
L1:
  @20  op r2 = print(r1)
       jump L4
L3:
  @22  jump L5
L4:
       jump L0
L5:
  @23  close r0
       halt

program main() registers 3
  @26  open Count(r0, r1)
  @27  spawn r2 = a(-)
       transfer r0 -> r2[0]
  @28  spawn r2 = b(-)
       transfer r1 -> r2[0]
       halt
