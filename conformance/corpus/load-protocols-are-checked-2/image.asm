troth-assembly 1
; image f918c3ad2ed190db7af1173b85f9640680ba5b147ab1d1fec94fa634562e0b76
entry main

; protocol c6dee0e86951c60a6c48a33cbc21347ccfcb1197d20983110898c1e02df832d8
protocol P(A, B)
  type A
    0: B !
    1: end
  type B
    0: A ? ping() -> 1
    1: end

program main() registers 8
    halt
