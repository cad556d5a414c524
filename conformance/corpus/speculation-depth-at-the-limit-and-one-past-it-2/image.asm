troth-assembly 1
; image 9bee223f3df9ecc7a15cfb3097236d9994ff7228f37df941a46c2f959b45c9fe
entry main

program main() registers 8
L0:
    fork L0
    fork L0
    fork L0
    fork L0
    join
    join
    join
    join
    halt
