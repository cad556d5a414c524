troth-assembly 1
; image 43b694058c84da58e54c16cb371dc115de939c68ad2574cf6cf32e106279e847
entry main

effect e(x: int, x: int) -> int

program main() registers 8
    halt
