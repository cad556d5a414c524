troth-assembly 1
; image 1b2d408ecb58dec54f06775f9e3e66821624bdda036372520685ba2503560b6a
entry main

; protocol 05eb7527fd0a8c9b6042c4ef15afcaaf9ef85075d5336f01c5957519d8a80f3a
protocol Stream(A, B)
  type A
    0: B ! done() -> 1
     | frame() lossy -> 0
    1: end
  type B
    0: A ? done() -> 1
     | frame() -> 0
    1: end

program main() registers 8
    halt
