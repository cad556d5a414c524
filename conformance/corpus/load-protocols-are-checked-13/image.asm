troth-assembly 1
; image 05d825c85174b6bf5f8b4e838b3e05b081ec54a9e78a4aede3683cb574fd6fa0
entry main

; protocol 233202e2a73495b2504221dd9cc2a5e78a0b725592ed960d13fce18cfd43cc56
protocol P(A, B)
  type A
    0: end
  type B
    0: A ? ping() -> 1
    1: end

program main() registers 8
    halt
