troth-assembly 1
; image 41c94e5b11fd41fa31cedcb45d09b1dffffdbc4b88cf0f7a147d21d135a1faaf
entry main

; protocol 66e80ab55961c8deebd3d78fe01840e989bbd846846a2637ae71693de113dcce
protocol P(A, B)
  type A
    0: B ! ping(f0: int) -> 1
    1: end
  type B
    0: A ? ping() -> 1
    1: end

program main() registers 8
    halt
