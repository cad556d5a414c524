troth-assembly 1
; image 978617b3af885482e1e042a35555de408c7ba24859f330d402aa8d887f95c9ba
source "knock.troth"
entry main

; protocol 6f5159044961e1a1fc86f1a6e3c0e1df71137dc843bd514e2081a09ebecf9709
protocol Knock(A, B)
  type A
    0: B ! knock() -> 1
    1: end
  type B
    0: A ? knock() -> 1
    1: end

program waits(s: Knock.B) registers 3
  @6   recv r0 A?knock()
  @7   set r1 = "waits"
       op r2 = print(r1)
  @8   yield
  @9   set r1 = "waits again"
       op r2 = print(r1)
  @10  close r0
       halt

program knocks(s: Knock.A) registers 3
  @13  send r0 B!knock()
  @14  close r0
  @15  yield
  @16  set r1 = "knocks"
       op r2 = print(r1)
       halt

program busy(name: str, times: int) registers 7
  @19  set r3 = 0
       move r4 = r1
       set r6 = 1
L3:
       op r5 = ge(r3, r4)
       jump_if r5 L9
       move r2 = r3
  @20  yield
  @19  op r3 = add(r3, r6)
       jump L3
L9:
  @21  op r3 = print(r0)
       halt

program main() registers 5
  @24  open Knock(r0, r1)
  @25  spawn r2 = waits(-)
       transfer r1 -> r2[0]
  @26  set r2 = "one"
       set r3 = 1
       spawn r4 = busy(r2, r3)
  @27  spawn r2 = knocks(-)
       transfer r0 -> r2[0]
  @28  set r2 = "two"
       set r3 = 3
       spawn r4 = busy(r2, r3)
       halt
