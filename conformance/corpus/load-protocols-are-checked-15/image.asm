troth-assembly 1
; image 7d61b1b3f2406cb2abe2e74ea0eb83af12d451639f7a3380fb36e8fd3f65f16e
entry main

; protocol 3dde338e715f79c231996d09451ca37d279ba799c69ebd5c0e78e567a1f8cee4
protocol Job(A)
  type A
    0: end

program main() registers 8
    halt
