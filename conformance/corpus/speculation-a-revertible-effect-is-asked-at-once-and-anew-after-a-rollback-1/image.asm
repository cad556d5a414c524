troth-assembly 1
; image f960289cc9df8a1443f8d549905daf39935bb06e1d37d0318b35b92457f57d2f
entry main

effect ask() -> int revertible

program main() registers 8
    set r1 = 0
    fork L4
    invoke r1 = ask()
    abort
L4:
    op r7 = print(r1)
    invoke r1 = ask()
    op r7 = print(r1)
    halt
