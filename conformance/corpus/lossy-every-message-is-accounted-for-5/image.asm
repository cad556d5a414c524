troth-assembly 1
; image d6d7be22f589aaea3e08dea61ddbf73ed44cfbfdee18cbc82abe31f8933004b3
source "stream.troth"
entry main

; protocol bea2be7d6cc0b4249508c262d1ab24fbd766e6b983252d71e333bed187b5984a
protocol Stream(Host, Viewer)
  edge Host -> Viewer: replay = off, buffer = latest, capacity = 3
  type Host
    0: Viewer ! done() -> 1
     | frame(n: int) lossy -> 0
     | key(n: int) -> 0
    1: end
  type Viewer
    0: Host ? done() -> 1
     | frame(n: int) lossy -> 0
     | key(n: int) -> 0
    1: end

program host(s: Stream.Host) registers 9
  @15  set r2 = 0
       set r3 = 2
       set r5 = 1
L3:
       op r4 = ge(r2, r3)
       jump_if r4 L16
       move r1 = r2
  @16  set r8 = 5
       op r7 = mod(r1, r8)
       set r8 = 4
       op r6 = ne(r7, r8)
       jump_if r6 L13
  @17  select r0 Viewer!key(r1)
       jump L14
L13:
  @19  select r0 Viewer!frame(r1)
L14:
  @15  op r2 = add(r2, r5)
       jump L3
L16:
  @20  select r0 Viewer!done()
  @21  close r0
       halt

program viewer(s: Stream.Viewer) registers 8
  @24  set r4 = 0
       set r5 = 32
       set r7 = 1
L3:
       op r6 = ge(r4, r5)
       jump_if r6 L9
       move r1 = r4
  @25  yield
  @24  op r4 = add(r4, r7)
       jump L3
L9:
  @26  set r2 = 0
L10:
  @28  branch r0 Host? done() -> L16
          | frame(r3) -> L11
          | key(r3) -> L13
L11:
  @30  op r4 = print(r3)
       jump L17
L13:
  @32  set r4 = 1
       op r2 = add(r2, r4)
       jump L17
L16:
  @34  jump L18
L17:
       jump L10
L18:
  @35  set r5 = "keys "
       op r6 = str(r2)
       op r4 = add(r5, r6)
       op r5 = print(r4)
  @36  close r0
       halt

program main() registers 3
  @39  open Stream(r0, r1)
  @40  spawn r2 = host(-)
       transfer r0 -> r2[0]
  @41  spawn r2 = viewer(-)
       transfer r1 -> r2[0]
       halt
