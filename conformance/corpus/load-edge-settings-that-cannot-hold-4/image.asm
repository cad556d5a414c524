troth-assembly 1
; image e5c631a32f0e48c6404f1b8cde69ae7dc25f82409b46c730d37d0e0448e25019
entry main

; protocol 0b6bb70ed3efd645546099a4f4d61704b0735b0458af097e061a61ee6d5ed756
protocol Job(A, B)
  edge A -> B: capacity = 9, policy = resize, resize_max = 8
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
