troth-assembly 1
; image 5f7972b32b7531ffcafeebd1c938b56a4e6b903f1d5191a3bbc30ee8ae18e6cf
entry main

program main() registers 8
    spawn r1 = child()
    halt

program child() registers 9
    halt
