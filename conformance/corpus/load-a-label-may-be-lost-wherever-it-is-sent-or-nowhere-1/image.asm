troth-assembly 1
; image b984c29196a1851ce91db176d9cf6c627d81438157ee9184372713a14a69da85
entry main

; protocol 96aecc550f253b357254a51678d26206269792e9d3bf3a50674076eb720edee5
protocol P(A, B)
  type A
    0: B ! frame() -> 1
    1: B ! done() -> 2
     | frame() lossy -> 1
    2: end
  type B
    0: A ? frame() -> 1
    1: A ? done() -> 2
     | frame() lossy -> 1
    2: end

program main() registers 8
    halt
