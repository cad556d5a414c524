troth-assembly 1
; image 75a59c75c73e5eec50a0b5384f407012b6707d957727fe99fa43984dac9a8481
entry main

; protocol aa6025787f96766e4aa1888bb33f9ef13b9592e4e0b3159f7e55aee3910ba03b
protocol P(A, B)
  type A
    0: A ! ping() -> 1
    1: end
  type B
    0: A ? ping() -> 1
    1: end

program main() registers 8
    halt
