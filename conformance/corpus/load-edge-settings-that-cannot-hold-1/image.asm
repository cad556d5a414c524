troth-assembly 1
; image 45ea350ba3bf9cffadb26c15f846188314409a2053fdab927ae2373843fae6ea
entry main

; protocol e7c7a22da420134939080211acc080769a8eaa18c9a5506cbea041f87a358dbd
protocol Job(A, B)
  edge A -> B: capacity = 0
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
