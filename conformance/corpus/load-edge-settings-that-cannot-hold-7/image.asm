troth-assembly 1
; image b8afabf4ae66d6c05fb245a135271571364bf4b716e00d2549b70a7fb9ab87ef
entry main

; protocol 6260043b4e7f27638c69ac9170251f52320bae643c27c743596645021f342617
protocol Job(A, B)
  edge A -> B
  edge A -> B
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
