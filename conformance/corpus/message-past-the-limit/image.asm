troth-assembly 1
; image 209285c6b78533ac26772cbdb1b770f975c57bb57ef04aba4fd6598b80ba7eb8
source "message-past-the-limit.troth"
entry main

; protocol e0ff438691290c97c5bc0f79b069cda388580645c144799d1b9c7ebfe8dec7c2
protocol P(A, B)
  type A
    0: B ! say(text: str) -> 1
    1: end
  type B
    0: A ? say(text: str) -> 1
    1: end

program a(s: P.A) registers 2
  @5  set r1 = "123456789"
      send r0 B!say(r1)
  @6  close r0
      halt

program b(s: P.B) registers 3
  @9   recv r0 A?say(r1)
  @10  op r2 = print(r1)
  @11  close r0
       halt

program main() registers 3
    open P(r0, r1)
    spawn r2 = a(r0)
    spawn r2 = b(r1)
    halt
