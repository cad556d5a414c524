troth-assembly 1
; image 2bd551be6367806af9494294e553ec98f9dbbd3eb595f4bef015e121d97490ee
entry main

; protocol bd8e5f14194fe8440871593616c32510903b8898bf8d13e17111bf962ec9ea5f
protocol Hire(D, W)
  edge W -> D
  type D
    0: W ! take(f0: Job.B) -> 1
    1: end
  type W
    0: D ? take(f0: Job.B) -> 1
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
