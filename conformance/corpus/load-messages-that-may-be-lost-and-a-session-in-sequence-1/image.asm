troth-assembly 1
; image 301f89c7fae5d6f35e66ff916dee36bea8fe8c5c21a6d434c9c8c08e1a60eb44
entry main

; protocol 664755721800ea51e101e14b18dda4d7fdc47d776897f24fd5f4ff99223fc4e4
protocol Stream(A, B)
  type A
    0: B ! done() -> 1
     | frame() lossy -> 0
    1: end
  type B
    0: A ? done() -> 1
     | frame() lossy -> 0
    1: end

program main() registers 8
    open Stream(r0, r1) with replay = sequence
    set r2 = "x"
    cancel r0 r2
    cancel r1 r2
    halt
