troth-assembly 1
; image 595230eae15f8db98b94d721263fbe1d4cc0c72b1748f7be13456c00845ed0c2
source "message-at-the-limit.troth"
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
  @5  set r1 = "12345678"
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
