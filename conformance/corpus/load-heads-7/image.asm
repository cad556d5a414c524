troth-assembly 1
; image 546d41ba6eabee97aadf47d36be6fc7036b6dceeb425eef760e65201073c25f2
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
