troth-assembly 1
; image f76396e3c7e62fad27c0ca130284587d799c947efd5acd6ea3ae25dfd270982d
entry main

; protocol 5fd96416dc563842cb146e22c2d5adb5ed31c37db860e3ceb9700d39aac74620
protocol Job(A, B)
  type A
    0: B ! ask(f0: int) -> 1
    1: B ? answer(f0: str) -> 2
    2: end
  type B
    0: A ? ask(f0: int) -> 1
    1: A ! answer(f0: str) -> 2
    2: end

; protocol 0af7e983589e8a25994cee427e64c2c237407eb288bc1c21b21dd1a283138274
protocol Loop(A, B)
  type A
    0: B ! more(f0: int) -> 0
     | stop() -> 1
    1: end
  type B
    0: A ? more(f0: int) -> 0
     | stop() -> 1
    1: end

; protocol fc7be0f0e26a9ff16476f503d43c857505e79cf644e6b642a9416e722d9f8555
protocol Hire(D, W)
  type D
    0: W ! take(f0: Job.B) -> 1
    1: end
  type W
    0: D ? take(f0: Job.B) -> 1
    1: end

effect price(f0: str) -> int

program main() registers 8
    halt

program p(f0: Hire.D, f1: Job.B) registers 8
    recv r1 A?ask(r2)
    send r0 W!take(r1)
    halt

program serve(f0: Job.B) registers 8
    recv r0 A?ask(r1)
    set r2 = "x"
    send r0 A!answer(r2)
    close r0
    halt
