troth-assembly 1
; image bd8adcb768df53dc2f5b275f8cabf77fddfa3a8ed63de7dded85bfbf28fd7370
entry main

; protocol c8b836e6a72ed90862b64e266be749c7d63320bf474ae8754f840a808b1221db
protocol Job(A, B)
  edge A -> B: capacity = 65537
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
