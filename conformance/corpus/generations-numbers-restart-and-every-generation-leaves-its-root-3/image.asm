troth-assembly 1
; image 03215acdf242fb0b450e4c09f4a505f7e18b8a828e7e345b517f58d17b66ae80
source "count.troth"
entry main

; protocol 87342402e8edd09badf3bb6923858a54f27757633ef870270be3cc67dbfdc31a
protocol Count(A, B)
  edge A -> B: replay = nullifier, capacity = 3, rotate = 4
  edge B -> A: replay = nullifier, rotate = 2
  type A
    0: B ! stop() -> 1
     | tick(n: int) -> 0
    1: B ? sum(n: int) -> 2
    2: end
  type B
    0: A ? stop() -> 1
     | tick(n: int) -> 0
    1: A ! sum(n: int) -> 2
    2: end

program a(s: Count.A) registers 7
  @14  set r3 = 0
       set r4 = 12
       set r6 = 1
L3:
       op r5 = ge(r3, r4)
       jump_if r5 L9
       move r1 = r3
  @15  select r0 B!tick(r1)
  @14  op r3 = add(r3, r6)
       jump L3
L9:
  @16  select r0 B!stop()
  @17  recv r0 B?sum(r2)
  @18  op r3 = print(r2)
  @19  close r0
       halt

program b(s: Count.B) registers 3
  @22  set r1 = 0
L1:
  @24  branch r0 A? stop() -> L4
          | tick(r2) -> L2
L2:
  @26  op r1 = add(r1, r2)
       jump L5
L4:
  @28  jump L6
L5:
       jump L1
L6:
  @29  send r0 A!sum(r1)
  @30  close r0
       halt

program main() registers 3
  @33  open Count(r0, r1)
  @34  spawn r2 = a(-)
       transfer r0 -> r2[0]
  @35  spawn r2 = b(-)
       transfer r1 -> r2[0]
       halt
