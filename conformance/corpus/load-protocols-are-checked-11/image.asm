troth-assembly 1
; image eab59502c54dd0dc27b7b6e039da6a1bb2353b131bf1c2c34bb99a487fb16836
entry main

; protocol ce0d8a0eb377cec457340a52bb55122f437ea2173fe40dd829fd0e89b9b41cbf
protocol P(A, B)
  type A
    0: B ! a() -> 2
     | b() -> 1
    1: end
    2: B ! ping() -> 1
  type B
    0: A ? ping() -> 1
    1: end

program main() registers 8
    halt
