troth-assembly 1
; image ceaf2750ee9dc721410a755bb9bd064e192f1199ab88db902c72a270ccc0a172
entry main

; protocol e00a12ef94735e7c936ad1ac8c6634edf81db525ac3fadd674290263ee74d4c9
protocol Stream(A, B)
  type A
    0: B ! done() -> 1
     | frame() lossy -> 1
    1: end
  type B
    0: A ? done() -> 1
     | frame() lossy -> 1
    1: end

program main() registers 8
    halt
