troth-assembly 1
; image 1cdfc126cba26d67f29561f8fee2f2697225601f97aadd2bf8cdf193213d8651
source "batch.troth"
entry main

; protocol 49a1518b39c779fb2328f0fcde4407a584c56fea9cea5c42043ac6f7712b3e25
protocol Batch(A, B)
  edge A -> B: replay = nullifier, capacity = 8, rotate = 3
  type A
    0: B ! a(n: int) -> 1
    1: B ! b(n: int) -> 2
    2: B ! c(n: int) -> 3
    3: B ! d(n: int) -> 4
    4: B ! e(n: int) -> 5
    5: B ? done() -> 6
    6: end
  type B
    0: A ? a(n: int) -> 1
    1: A ? b(n: int) -> 2
    2: A ? c(n: int) -> 3
    3: A ? d(n: int) -> 4
    4: A ? e(n: int) -> 5
    5: A ! done() -> 6
    6: end

program giver(s: Batch.A) registers 3
  @12  set r1 = 1
       send r0 B!a(r1)
  @13  fork L13
  @14  set r1 = 2
       send r0 B!b(r1)
  @15  set r1 = 3
       send r0 B!c(r1)
  @16  set r1 = 4
       send r0 B!d(r1)
  @17  set r1 = 5
       send r0 B!e(r1)
  @18  join
       jump L15
L13:
       set r1 = "nothing rolls this back"
       op r2 = fail(r1)
L15:
  @19  recv r0 B?done()
  @20  close r0
       halt

program taker(s: Batch.B) registers 11
  @23  recv r0 A?a(r1)
  @24  set r7 = 0
       set r8 = 4
       set r10 = 1
L4:
       op r9 = ge(r7, r8)
       jump_if r9 L10
       move r2 = r7
  @25  yield
  @24  op r7 = add(r7, r10)
       jump L4
L10:
  @26  fork L20
  @27  recv r0 A?b(r3)
  @28  recv r0 A?c(r4)
  @29  recv r0 A?d(r5)
  @30  set r8 = 5
       op r7 = ne(r5, r8)
       jump_if r7 L18
  @31  abort
L18:
  @32  join
       jump L23
L20:
  @34  recv r0 A?b(r3)
  @35  recv r0 A?c(r4)
  @36  recv r0 A?d(r5)
L23:
  @37  recv r0 A?e(r6)
  @38  op r7 = print(r6)
  @39  send r0 A!done()
  @40  close r0
       halt

program main() registers 3
  @43  open Batch(r0, r1)
  @44  spawn r2 = giver(-)
       transfer r0 -> r2[0]
  @45  spawn r2 = taker(-)
       transfer r1 -> r2[0]
       halt
