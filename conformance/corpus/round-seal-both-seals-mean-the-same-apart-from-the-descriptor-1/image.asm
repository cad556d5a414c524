troth-assembly 1
; image d6387d09fd82e7a99bdd51e4d872ec1cd6d7fde42e3cae0163ffa6d8300d17eb
source "pair.troth"
entry main

; protocol 7bfc56fa7c732ca02734b1beba6978e5bab447460fd059f2ed0b7ed19615217e
protocol Pair(Left, Right)
  type Left
    0: Right ! item(n: int) -> 0
     | last() -> 1
    1: Right ? thanks(text: str) -> 2
    2: end
  type Right
    0: Left ? item(n: int) -> 0
     | last() -> 1
    1: Left ! thanks(text: str) -> 2
    2: end

program left(s: Pair.Left) registers 7
  @12  set r3 = 0
       set r4 = 3
       set r6 = 1
L3:
       op r5 = ge(r3, r4)
       jump_if r5 L9
       move r1 = r3
  @13  select r0 Right!item(r1)
  @12  op r3 = add(r3, r6)
       jump L3
L9:
  @14  select r0 Right!last()
  @15  recv r0 Right?thanks(r2)
  @16  op r3 = print(r2)
  @17  close r0
       halt

program right(s: Pair.Right) registers 3
L0:
  @21  branch r0 Left? item(r1) -> L1
          | last() -> L2
L1:
  @23  jump L3
L2:
  @25  jump L4
L3:
       jump L0
L4:
  @26  set r2 = "all there"
       send r0 Left!thanks(r2)
  @27  close r0
       halt

program main() registers 3
  @30  open Pair(r0, r1) with seal = round
  @31  spawn r2 = left(-)
       transfer r0 -> r2[0]
  @32  spawn r2 = right(-)
       transfer r1 -> r2[0]
       halt
