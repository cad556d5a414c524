troth-assembly 1
; image 1165f4eb43c4cec582008deb44907435dc9d0bb117793d7a2ef788d39aa5cdd6
source "crash-with-an-endpoint-on-its-way.troth"
entry main

; protocol d34cbc32ad674ee27c305128bdce6548aa4cda519f209ba4f82dca1e63f3f148
protocol Side(Left, Right)
  type Left
    0: Right ! hello() -> 1
    1: end
  type Right
    0: Left ? hello() -> 1
    1: end

; protocol 702e5294ec22e51901dcc536d60a402ae8e96e9816b1787584a6f0e3b02375a8
protocol Give(Giver, Taker, Friend)
  type Giver
    0: Taker ? please() -> 1
    1: Friend ! hint() -> 2
    2: Taker ? side(end: Side.Right) -> 3
    3: Taker ! thanks() -> 4
    4: end
  type Taker
    0: Giver ! please() -> 1
    1: Friend ? ready() -> 2
    2: Giver ! side(end: Side.Right) -> 3
    3: Giver ? "on crash"() -> 4
     | thanks() -> 5
    4: Friend ! lost() -> 6
    5: Friend ! done() -> 6
    6: end
  type Friend
    0: Giver ? hint() -> 1
    1: Taker ! ready() -> 2
    2: Taker ? done() -> 3
     | lost() -> 3
    3: end

program giver(s: Give.Giver) registers 2
  @16  recv r0 Taker?please()
  @17  send r0 Friend!hint()
  @18  yield
  @19  recv r0 Taker?side(r1)
  @20  recv r1 Left?hello()
  @21  close r1
  @22  send r0 Taker!thanks()
  @23  close r0
       halt

program taker(s: Give.Taker, end: Side.Right) registers 2
  @26  send r0 Giver!please()
  @27  recv r0 Friend?ready()
  @28  send r0 Giver!side(r1)
  @29  branch r0 Giver? "on crash"() -> L6
          | thanks() -> L4
L4:
  @31  send r0 Friend!done()
       jump L7
L6:
  @33  send r0 Friend!lost()
L7:
  @34  close r0
       halt

program friend(s: Give.Friend, end: Side.Left) registers 4
  @37  recv r0 Giver?hint()
  @38  send r0 Taker!ready()
  @39  branch r0 Taker? done() -> L3
          | lost() -> L6
L3:
  @41  set r2 = "done"
       op r3 = print(r2)
       jump L8
L6:
  @43  set r2 = "lost"
       op r3 = print(r2)
L8:
  @44  close r0
  @45  send r1 Right!hello()
  @46  close r1
       halt

program main() registers 6
  @49  open Give(r0, r1, r2)
  @50  open Side(r3, r4)
  @51  spawn r5 = giver(-)
       transfer r0 -> r5[0]
  @52  spawn r5 = taker(-, -)
       transfer r1 -> r5[0]
       transfer r4 -> r5[1]
  @53  spawn r5 = friend(-, -)
       transfer r2 -> r5[0]
       transfer r3 -> r5[1]
       halt
