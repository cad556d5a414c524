troth-assembly 1
; image ace5e6e304ffc5993202f64b708f6b8346114b3be6911e680cbb1eea9d8b546e
source "ask.troth"
entry main

; protocol bb85637a60561e13f71a525758a470c3230d28ed500a1d73e9c549f65ec45846
protocol Ask(Oracle, Asker, Friend)
  edge Asker -> Oracle: capacity = 1
  type Oracle
    0: Asker ? first(text: str) -> 1
    1: Asker ? second(text: str) -> 2
    2: Asker ! answer(text: str) -> 3
    3: end
  type Asker
    0: Oracle ! first(text: str) -> 1
    1: Oracle ! second(text: str) -> 2
    2: Oracle ? answer(text: str) -> 3
     | "on crash"() -> 4
    3: Friend ! "on crash"() -> 5
     | told(text: str) -> 5
    4: Friend ! alone() -> 6
    5: end
    6: Friend ? guess(text: str) -> 5
  type Friend
    0: Asker ? alone() -> 1
     | told(text: str) -> 2
    1: Asker ! guess(text: str) -> 2
    2: end

program oracle(s: Ask.Oracle) registers 8
  @13  recv r0 Asker?first(r1)
  @14  recv r0 Asker?second(r2)
  @15  yield
  @16  op r4 = add(r1, r2)
       send r0 Asker!answer(r4)
  @17  set r4 = 0
       set r5 = 6
       set r7 = 1
L8:
       op r6 = ge(r4, r5)
       jump_if r6 L14
       move r3 = r4
  @18  yield
  @17  op r4 = add(r4, r7)
       jump L8
L14:
  @19  close r0
       halt

program asker(s: Ask.Asker) registers 7
  @22  set r3 = "a"
       send r0 Oracle!first(r3)
  @23  set r3 = "b"
       send r0 Oracle!second(r3)
  @24  set r3 = 0
       set r4 = 6
       set r6 = 1
L7:
       op r5 = ge(r3, r4)
       jump_if r5 L13
       move r1 = r3
  @25  yield
  @24  op r3 = add(r3, r6)
       jump L7
L13:
  @26  branch r0 Oracle? answer(r2) -> L14
          | "on crash"() -> L17
L14:
  @28  op r3 = print(r2)
  @29  send r0 Friend!told(r2)
       jump L22
L17:
  @31  set r3 = "the oracle is gone"
       op r4 = print(r3)
  @32  send r0 Friend!alone()
  @33  recv r0 Friend?guess(r2)
  @34  op r3 = print(r2)
L22:
  @35  close r0
       halt

program friend(s: Ask.Friend) registers 3
  @38  branch r0 Asker? alone() -> L3
          | told(r1) -> L1
L1:
  @40  op r2 = print(r1)
       jump L5
L3:
  @42  set r2 = "because"
       send r0 Asker!guess(r2)
L5:
  @43  close r0
       halt

program main() registers 4
  @46  open Ask(r0, r1, r2)
  @47  spawn r3 = oracle(-)
       transfer r0 -> r3[0]
  @48  spawn r3 = asker(-)
       transfer r1 -> r3[0]
  @49  spawn r3 = friend(-)
       transfer r2 -> r3[0]
       halt
