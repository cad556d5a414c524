troth-assembly 1
; image c97be4a972fa3928fbfd0f1d4c3c7e338e7742acd5af7bf08a1c2727dbb8b616
entry main

; protocol e149fc92bd8d70fc3dbfc52fbeafd616519a207362333bb216a30fd82e771d99
protocol Many(R0, R1)
  type R0
    0: end
  type R1
    0: end

program main() registers 8
    open Many(r0, r1)
    halt
