troth-assembly 1
; image cff57795e990de6ae041272ac061e34fb99c2a76446e6a09888b96fce8866027
entry main

program main() registers 8
    spawn r1 = child()
    halt

program child() registers 10
    halt
