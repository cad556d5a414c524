troth-assembly 1
; image 9d2b9bbfc9d1196b25fee97ff35f1890b0ac8acf59e36bd0620b5e91db9aee3d
entry main

; protocol 5e004b63a969d7e896cb79df01585157dbd6027d3d441b80a6c6d3f29cf1d8de
protocol Job(A, B)
  edge A -> B: resize_max = 8
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
