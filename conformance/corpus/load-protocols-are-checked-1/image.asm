troth-assembly 1
; image ab5ebc47a3b8b3ca72ae37c54365f07f044319dc9acefa14c6c45759c317c9bb
entry main

; protocol 738aadb8d29a4ba71b1da6cb9f94f32e1bba0f38df943a7cc6470cdcfc4b90b2
protocol P(A, B)
  type A
  type B
    0: A ? ping() -> 1
    1: end

program main() registers 8
    halt
