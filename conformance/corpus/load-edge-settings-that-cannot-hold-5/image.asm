troth-assembly 1
; image 8da206badaedc6cea87db694ad627b5a4e4249ab18481a0422be344ecea1d0ea
entry main

; protocol fbb8bd4adaa827410e44f2bf8a6cbf904cdc10d778ba70260c69e1c5b89062ad
protocol Job(A, B)
  edge A -> C
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
