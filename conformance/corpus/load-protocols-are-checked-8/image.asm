troth-assembly 1
; image 89a8e1042624062ed9784a36ab51e3129fb6b57ae6a584103e69113313b87666
entry main

; protocol 51d4765e7792da2ade65eb137ef4346ca2b708ea8522e19f6a0760262e4584b3
protocol P(A, B)
  type A
    0: B ! a() -> 1
     | a() -> 1
    1: end
  type B
    0: A ? ping() -> 1
    1: end

program main() registers 8
    halt
