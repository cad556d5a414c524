troth-assembly 1
; image 2f90af26bfcc590f4f73a54df7003ef324e5243809d1b593f0b178a62966008c
entry main

program main() registers 8
    abort
    halt
