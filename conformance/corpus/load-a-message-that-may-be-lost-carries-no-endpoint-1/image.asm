troth-assembly 1
; image 7855886f123ee8075982ebd80573ddf0a517b8a2b4cda46a68b1e4b164037706
entry main

; protocol f7a1c896c9029c9a2da8ccc6ff74d2e3874e677756821209f2cdf965064d126c
protocol Stream(A, B)
  type A
    0: B ! done() -> 1
     | frame(s: Job.A) lossy -> 0
    1: end
  type B
    0: A ? done() -> 1
     | frame(s: Job.A) lossy -> 0
    1: end

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

program main() registers 8
    halt
